package storekey

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	dataInfo, err := os.Stat(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := config; ; dir = filepath.Dir(dir) {
		inside := dir == data
		if dataInfo != nil && !inside {
			info, err := os.Stat(dir)
			inside = err == nil && os.SameFile(info, dataInfo)
		}
		if inside {
			return fmt.Errorf("%w: %s is in %s", ErrInside, configDir, dataDir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
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
