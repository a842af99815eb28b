//go:build linux || darwin || freebsd

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// space asks statfs(2). Free counts Bavail: the blocks that root alone may use
// are not ours.
func space(path string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	block := uint64(st.Bsize)
	free := max(st.Bavail, 0) // some systems count below zero when the reserve is in use
	return Space{Free: uint64(free) * block, Total: uint64(st.Blocks) * block}, nil
}
