package storekey

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// ErrInside says that the configuration directory is in the data directory.
var ErrInside = errors.New("the configuration directory lies inside the data directory")

// CheckApart returns ErrInside when configDir is dataDir or lies below it,
// through symbolic links too: whoever copies the data would copy the keys with
// it. Neither needs to exist.
func CheckApart(configDir, dataDir string) error {
	config, err := resolve(configDir)
	if err != nil {
		return err
	}
	data, err := resolve(dataDir)
	if err != nil {
		return err
	}
	below, err := filepath.Rel(data, config)
	if err != nil {
		return err
	}
	if filepath.IsLocal(below) {
		return fmt.Errorf("%w: %s is in %s", ErrInside, configDir, dataDir)
	}
	return nil
}

// resolve makes a path absolute and follows the links in that part of it which
// exists.
func resolve(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		found, err := filepath.EvalSymlinks(name)
		if err == nil {
			return filepath.Join(found, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || name == filepath.Dir(name) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(name), rest)
		name = filepath.Dir(name)
	}
}
