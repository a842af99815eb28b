package storekey

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckApart(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"data/sub", "config", "database"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "data/sub", "alias": "data", "data/out": "../config"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		config, data string
		want         error
	}{
		{"config", "data", nil},
		{"database", "data", nil},
		{"data", "data/sub", nil}, // data inside the configuration
		{"data", "data", ErrInside},
		{"data/", "./data", ErrInside},
		{"data/sub", "data", ErrInside},
		{"data/sub/new/er", "data", ErrInside},
		{"data/../config", "data", nil},
		{"link", "data", ErrInside},
		{"link/new", "data", ErrInside},
		{"data/sub", "alias", ErrInside},
		{"data/out", "data", nil}, // the link lies inside, the directory does not
		{"new/config", "new", ErrInside},
		{"new", "new/data", nil},
		{"new/a", "new/ab", nil},
	}
	for _, tt := range tests {
		t.Run(tt.config+" and "+tt.data, func(t *testing.T) {
			t.Parallel()
			err := CheckApart(root+"/"+tt.config, root+"/"+tt.data)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
