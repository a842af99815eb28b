package fs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mountInfo is a line of /proc/self/mountinfo, proc(5).
type mountInfo struct {
	device string // MAJOR:MINOR
	dir    string
	kind   string
}

// mounts reads the table of mounts.
func mounts(r io.Reader) ([]mountInfo, error) {
	var list []mountInfo
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		head, tail, ok := strings.Cut(lines.Text(), " - ")
		before, after := strings.Fields(head), strings.Fields(tail)
		if !ok || len(before) < 5 || len(after) < 1 {
			continue
		}
		list = append(list, mountInfo{device: before[2], dir: unescapeMount(before[4]), kind: after[0]})
	}
	return list, lines.Err()
}

// unescapeMount undoes the octal escapes of the table.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountedOn is the topmost mount on a directory.
func mountedOn(dir string) (mountInfo, bool) {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mountInfo{}, false
	}
	defer table.Close()
	list, err := mounts(table)
	if err != nil {
		return mountInfo{}, false
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].dir == dir {
			return list[i], true
		}
	}
	return mountInfo{}, false
}

// maxLeft bounds how many dead mounts on one directory are detached.
const maxLeft = 16

// prepareDir makes a directory ready to be mounted on.
func prepareDir(dir string, log *slog.Logger) error {
	for range maxLeft {
		if !isDead(dir) {
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), detachTimeout)
		err := unmount(ctx, dir, true)
		cancel()
		if err != nil {
			return fmt.Errorf("detach what a killed server left: %w", err)
		}
		log.Warn("detached a mount that a killed server had left", "dir", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if on, ok := mountedOn(real); ok && on.kind == "fuse."+mountType {
		return ErrMounted
	}
	return nil
}

const detachTimeout = 3 * time.Second

// connectionOf is the number of the FUSE connection of a mount, which is the minor number of its device.
func connectionOf(dir string) (string, bool) {
	on, ok := mountedOn(dir)
	if !ok {
		return "", false
	}
	_, minor, ok := strings.Cut(on.device, ":")
	return minor, ok
}

// abort ends a FUSE connection, if the control file system is there.
func abort(connection string) error {
	return os.WriteFile("/sys/fs/fuse/connections/"+connection+"/abort", []byte("1"), 0)
}

// setReadAhead lets the kernel read further ahead than it does by default. Only root may; without it nothing is wrong.
func setReadAhead(dir string, log *slog.Logger) {
	on, ok := mountedOn(dir)
	if !ok {
		return
	}
	err := os.WriteFile("/sys/class/bdi/"+on.device+"/read_ahead_kb", []byte(strconv.Itoa(readAheadKiB)), 0)
	if err != nil {
		log.Debug("the kernel keeps its own read-ahead", "dir", dir, "error", err)
	}
}

// isBusy reports whether fusermount3 says that a mount is in use.
func isBusy(message string) bool { return strings.Contains(message, "busy") }

// DetachDead takes away what a killed server left on a directory. It fails with ErrNotMounted where there is nothing
// of that kind.
func DetachDead(ctx context.Context, dir string) error {
	if !isDead(dir) {
		return fmt.Errorf("unmount %s: %w", dir, ErrNotMounted)
	}
	return unmount(ctx, dir, true)
}

// isDead reports whether a mount is on a directory whose server is gone. It asks what the kernel does not keep the
// answer to.
func isDead(dir string) bool {
	err := unix.Statfs(dir, new(unix.Statfs_t))
	return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
}
