package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

var _ Writeback = (*osFile)(nil)

// StartWriteback implements Writeback by sync_file_range(2), which queues the
// dirty pages of the range and returns. It may wait for room in the device's
// request queue; that is the back-pressure that keeps Sync short. A file system
// that does not know the call writes when it likes.
func (f *osFile) StartWriteback(off, n int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := conn.Control(func(fd uintptr) {
		callErr = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}); err != nil {
		return err
	}
	for _, unknown := range []error{unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.ESPIPE} {
		if errors.Is(callErr, unknown) {
			return nil
		}
	}
	return callErr
}
