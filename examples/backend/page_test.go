package backend_test

import (
	"os"
	"strings"
	"testing"
)

// TestPage shows that docs/backends.md has the example as it is here.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/backends.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ring.go", "ring_test.go"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```go\n"+string(code)+"```\n") {
			t.Errorf("docs/backends.md does not have %s as it is", name)
		}
	}
}
