//go:build !(linux || darwin || freebsd)

package disk

import (
	"errors"
	"io/fs"
)

// space is not known on this system.
func space(path string) (Space, error) {
	return Space{}, &fs.PathError{Op: "statfs", Path: path, Err: errors.ErrUnsupported}
}
