package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestModule holds the module against its rules.
func TestModule(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	mod, err := os.ReadFile("../../go.mod")
	if err != nil || !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("the root of the module is not two directories up: %v", err)
	}
	r, err := read(graph, confined, apart)
	if err != nil {
		t.Fatal(err)
	}
	files, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]bool)
	for _, f := range files {
		packages[f.pkg] = true
	}
	for _, pkg := range []string{"cipher", "chunk/localdisk", "internal/disk", "internal/arch"} {
		if !packages[pkg] {
			t.Errorf("package %s was not found, so nothing of it was checked", pkg)
		}
	}
	for _, fault := range r.check(files) {
		t.Error(fault)
	}
}

// TestRulesBite breaks each rule once, in a module that is otherwise in order.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	const doc = "doc.go"
	for _, c := range []struct {
		name string
		file string
		code string
		want []string
	}{
		{"nothing", "object/a.go", `import "coffer/chunk"`, nil},
		{"up", "chunk/a.go", `import "coffer/object"`,
			[]string{"chunk/a.go imports coffer/object: not in the graph"}},
		{"past the engine", "s3api/a.go", `import "coffer/chunk"`,
			[]string{"s3api/a.go imports coffer/chunk: not in the graph"}},
		{"the other front door", "fs/a.go", `import _ "coffer/s3api"`,
			[]string{"fs/a.go imports coffer/s3api: not in the graph"}},
		{"a driver", "object/a.go", `import d "coffer/chunk/localdisk"`,
			[]string{"object/a.go imports coffer/chunk/localdisk: not in the graph"}},
		{"under another build tag", "object/a_plan9.go", `import "coffer/s3api"`,
			[]string{"object/a_plan9.go imports coffer/s3api: not in the graph"}},
		{"all but helpers, for cmd", "cmd/coffer/a.go", `import ("coffer/chunk/localdisk"; "coffer/cipher")`, nil},
		{"a helper, from cmd", "cmd/coffer/a.go", `import "coffer/internal/disk/disktest"`,
			[]string{"cmd/coffer/a.go imports coffer/internal/disk/disktest: not in the graph"}},
		{"tests are free of layers", "chunk/a_test.go", `import "coffer/object"`, nil},
		{"below test too", "test/e2e/a.go", `import "coffer/object"; var _ = os.Environ`,
			[]string{"test/e2e: no doc.go that begins with the name of the package"}},
		{"aes", "object/a.go", `import "crypto/aes"`,
			[]string{"object/a.go imports crypto/aes: its place is cipher"}},
		{"cipher modes, in a test", "chunk/a_test.go", `import "crypto/cipher"`,
			[]string{"chunk/a_test.go imports crypto/cipher: its place is cipher"}},
		{"aes at home", "cipher/a.go", `import "crypto/aes"`, nil},
		{"badger", "metastore/a.go", `import "github.com/dgraph-io/badger/v4/options"`,
			[]string{"metastore/a.go imports github.com/dgraph-io/badger/v4/options: its place is metastore/badgerdb"}},
		{"fasthttp in a pure package", "s3api/sigv4/a.go", `import "github.com/valyala/fasthttp"`,
			[]string{"s3api/sigv4/a.go imports github.com/valyala/fasthttp: its place is s3api s3api/admin bench"}},
		{"fasthttp at home", "s3api/a.go", `import "github.com/valyala/fasthttp"`, nil},
		{"a name that only begins alike", "object/a.go", `import "github.com/valyala/fasthttprouter"`, nil},
		{"vault", "kms/a.go", `import "github.com/hashicorp/vault/api"`,
			[]string{"kms/a.go imports github.com/hashicorp/vault/api: its place is kms/vault kms/vault/vaulttest"}},
		{"http in the engine", "object/checksum/a.go", `import "net/http/httptest"`,
			[]string{"object/checksum/a.go imports net/http/httptest: object never sees net/http"}},
		{"a library in the leaf", "cipher/a.go", `import "golang.org/x/crypto/hkdf"`,
			[]string{"cipher/a.go imports golang.org/x/crypto/hkdf: cipher never sees outside"}},
		{"a package without a place", "util/doc.go", ``,
			[]string{"util/doc.go: package util is not in the graph"}},
		{"no doc.go", "kms/static/a.go", ``,
			[]string{"kms/static: no doc.go that begins with the name of the package"}},
		{"init", "chunk/a.go", `func init() {}`, []string{"chunk/a.go: has an init function"}},
		{"a method init", "chunk/a.go", `type t struct{}; func (t) init() {}`, nil},
		{"environment", "chunk/a.go", `import "os"; var x = os.Getenv("X")`,
			[]string{"chunk/a.go: os.Getenv outside internal/config"}},
		{"environment, renamed", "chunk/a.go", `import sys "os"; var x, _ = sys.LookupEnv("X")`,
			[]string{"chunk/a.go: os.LookupEnv outside internal/config"}},
		{"environment at home", "internal/config/a.go", `import "os"; var x = os.Environ()`, nil},
		{"testdata", "chunk/testdata/a.go", `import "coffer/object"`, nil},
		{"nested module", "nested/a.go", `import "coffer/object"`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := read(graph, confined, apart)
			if err != nil {
				t.Fatal(err)
			}
			tree := fstest.MapFS{"nested/go.mod": {Data: []byte("module nested")}}
			for _, pkg := range []string{"object", "chunk", "cipher", "fs", "s3api", "s3api/sigv4", "metastore",
				"kms", "object/checksum", "internal/config"} {
				tree[pkg+"/"+doc] = &fstest.MapFile{Data: []byte("// Package p is in order.\npackage p\n")}
			}
			tree["cmd/coffer/"+doc] = &fstest.MapFile{Data: []byte("// Command coffer is in order.\npackage main\n")}
			pkg := "p"
			if strings.HasPrefix(c.file, "cmd/") {
				pkg = "main"
			}
			tree[c.file] = &fstest.MapFile{Data: []byte("// Package p is in order.\npackage " + pkg + "\n" + c.code)}
			files, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.check(files)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRulesAreSound refuses rules that allow what a compiler would not, or that
// nobody would notice to be wrong.
func TestRulesAreSound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, graph, want string }{
		{"in order", "a b\n  c\nb c\nc\n", ""},
		{"a circle", "a b\nb c\nc a\n", "circle"},
		{"itself", "a a\n", "circle"},
		{"a name that is not listed", "a b\n", "not listed"},
		{"a name twice", "a\na\n", "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(c.graph, "", "")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("read = %v, want %q", err, c.want)
			}
		})
	}
}
