package kmstest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestNothingIsSkipped shows that the cases of the suite are the same for every
// backend: none asks who it is, and none leaves itself out.
func TestNothingIsSkipped(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	skips := regexp.MustCompile(`\.Skip(f|Now)?\(`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := skips.Find(text); found != nil && name != "suite_test.go" {
			t.Errorf("%s has %s", name, found)
		}
	}
}

// TestSameCases holds the calls of the suite together: Local, Vault with and without
// its KV engine, the fake and the example run the whole of it.
func TestSameCases(t *testing.T) {
	t.Parallel()
	run := regexp.MustCompile(`kmstest\.Run\(t, `)
	for _, name := range []string{
		"fake_test.go", "../local/conformance_test.go", "../vault/conformance_test.go", "../../internal/keystate/keystate_test.go",
		"../../examples/backend/ring_test.go",
	} {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if !run.Match(text) {
			t.Errorf("%s does not run the suite", name)
		}
	}
}
