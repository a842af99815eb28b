package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Inside reports whether a directory of the operating system is another one or lies below it, through symbolic links
// too. Neither needs to exist.
func Inside(dir, other string) (bool, error) {
	inner, err := resolve(dir)
	if err != nil {
		return false, err
	}
	outer, err := resolve(other)
	if err != nil {
		return false, err
	}
	below, err := filepath.Rel(outer, inner)
	return err == nil && filepath.IsLocal(below), err
}

// resolve makes a path absolute and follows the links in that part of it which exists.
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
