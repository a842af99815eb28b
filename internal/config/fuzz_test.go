package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzFile feeds arbitrary text to the parser of the configuration file. What
// it accepts must be settings of the table, one line each, with the line that
// it names; and the file must fare the same inside Load.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "# nothing\n", "listen: 127.0.0.1:9000\nregion: eu-west-1\n", "domain: [a.example, b.example]\n",
		"listen: [1, 2]\n", "listen:\n", "listn: x\n", "a: &x 1\nb: *x\n", "---\n---\n", "- a\n", "? [a]\n: b\n",
		"listen: a\nlisten: b\n", "root-password: secret\n", "<<: {listen: x}\n", "memory-limit: 1e999MiB\n",
		"listen: !!binary aGk=\n", "data: \"\\0\"\n", "kms: {type: vault, vault-address: \"http://[::1\"}\n", "kms:\n  ? [a]\n  : b\n", "kms: ~\nkms: {kms-type: x}\n", "\xff\xfe", "data: ~\n", "drain-timeout: 2562048h\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		known := map[string]setting{}
		for _, s := range settings("/c", "/d") {
			known[s.name] = s
		}
		values, faults := parseFile("f.yaml", text, known)
		lines := 1
		for _, b := range text {
			if b == '\n' || b == '\r' || b == 0x85 || b == 0xa8 || b == 0xa9 { // every byte that ends a YAML line
				lines++
			}
		}
		for name, g := range values {
			s, ok := known[name]
			if !ok || s.noFile || s.secret || len(g.values) != 1 && !s.list {
				t.Errorf("accepted %q = %q", name, g.values)
			}
			if g.origin.Line < 1 || g.origin.Line > lines {
				t.Errorf("%q on line %d of %d", name, g.origin.Line, lines)
			}
		}
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		src := Sources{
			Flags:         map[string][]string{"config": {path}},
			UserConfigDir: func() (string, error) { return t.TempDir(), nil },
		}
		if _, err := Load(src); err == nil && len(faults) > 0 {
			t.Errorf("Load accepts what the parser refuses: %v", faults)
		}
	})
}
