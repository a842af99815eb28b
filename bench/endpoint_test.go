package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from file\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       Endpoint
	}{
		{
			"all fields", "label=a,url=http://127.0.0.1:9000/,access=AK,secret=S=K,region=eu-1",
			Endpoint{Label: "a", URL: "http://127.0.0.1:9000", AccessKey: "AK", SecretKey: NewSecret("S=K"), Region: "eu-1"},
		},
		{
			"label and region by default, secret from a file", "url=https://localhost:9000,access=AK,secret-file=" + file,
			Endpoint{Label: "localhost:9000", URL: "https://localhost:9000", AccessKey: "AK", SecretKey: NewSecret("from file"), Region: "us-east-1"},
		},
		{"baseline", "http-memory", Endpoint{Label: "http-memory", Memory: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEndpoint(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(Secret{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text string }{
		{"nothing", ""},
		{"no scheme", "url=127.0.0.1:9000,access=a,secret=HIDDEN"},
		{"other scheme", "url=ftp://127.0.0.1,access=a,secret=HIDDEN"},
		{"a path", "url=http://127.0.0.1/x,access=a,secret=HIDDEN"},
		{"no access key", "url=http://127.0.0.1:1,secret=HIDDEN"},
		{"no secret", "url=http://127.0.0.1:1,access=a"},
		{"unknown field", "url=http://127.0.0.1:1,access=a,password=HIDDEN"},
		{"a comma in the secret", "url=http://127.0.0.1:1,access=a,secret=x,HIDDEN"},
		{"absent secret file", "url=http://127.0.0.1:1,access=a,secret-file=/nonexistent/file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEndpoint(test.text)
			if !errors.Is(err, ErrEndpoint) {
				t.Fatalf("got %+v, %v, want ErrEndpoint", got, err)
			}
			if strings.Contains(err.Error(), "HIDDEN") {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	endpoint := Endpoint{Label: "a", SecretKey: NewSecret("HIDDEN")}
	wire, err := json.Marshal(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	text := string(wire) + fmt.Sprintf("%v %+v %#v %s", endpoint, endpoint, endpoint, endpoint.SecretKey)
	if strings.Contains(text, "HIDDEN") {
		t.Errorf("the secret is in %s", text)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"http://127.0.0.1:9000": true, "http://127.8.8.8": true, "http://[::1]:9000": true,
		"http://localhost:9000": true, "https://b.localhost": true,
		"http://192.168.1.1:9000": false, "http://s3.example.com": false, "http://localhost.example.com": false,
		"http://0.0.0.0:9000": false, "http://127.0.0.1.example.com": false,
	} {
		if got := (&Endpoint{URL: url}).loopback(); got != want {
			t.Errorf("%s: got %v, want %v", url, got, want)
		}
	}
}
