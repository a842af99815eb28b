package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"coffer/object"
)

const (
	mountType = "coffer" // behind “fuse.” in the tables of the kernel

	maxRequest    = 1 << 20 // bytes of one read or write, as large as kernels allow
	maxBackground = 64      // reads ahead and writes back that the kernel may have under way
	readAheadKiB  = 1024
)

// Mount is a mount that is served.
type Mount struct {
	target Target
	fs     *filesystem
	server *fuse.Server
	log    *slog.Logger
	served chan struct{} // closed when the kernel asks no more
	stop   context.CancelFunc
	tasks  sync.WaitGroup
	ending sync.Once
	endErr error
}

// ErrMounted says that a coffer is mounted on the directory already.
var ErrMounted = errors.New("something is mounted there already")

// New mounts, and serves until Unmount, or until somebody else unmounts. What a killed server left on the directory
// is detached first; a directory that does not exist is made. ctx bounds the mounting alone.
func New(ctx context.Context, o Options) (*Mount, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("mount %s: %w", o.Target.Dir, err)
	}
	m, err := mount(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", o.Target.Dir, err)
	}
	return m, nil
}

func mount(ctx context.Context, o Options) (*Mount, error) {
	if err := prepareDir(o.Target.Dir, o.Logger); err != nil {
		return nil, err
	}
	base := place{o.Target.Bucket, o.Target.Prefix}
	var root object.Node
	if base.bucket != "" {
		var err error
		if root, err = o.Store.Stat(ctx, base.bucket, base.key); err != nil {
			return nil, err
		}
	}
	watcher := o.Store.Watch(object.WatchOptions{})
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	f := newFilesystem(object.WithOrigin(background, watcher), o, base, root)
	server, err := fuse.NewServer(f, o.Target.Dir, mountOptions(o))
	if err != nil {
		stop()
		watcher.Close()
		return nil, explain(err)
	}
	m := &Mount{target: o.Target, fs: f, server: server, log: o.Logger, served: make(chan struct{}), stop: stop}
	go func() {
		server.Serve()
		close(m.served)
	}()
	n := newNotifier(f, server, background)
	m.tasks.Go(func() { n.watch(watcher) })
	m.tasks.Go(n.repeat)
	m.tasks.Go(func() { f.trimWhenCrowded(background, server, o.Settings.MemoryMiB) })
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(err, m.Unmount(ctx, true))
	}
	setReadAhead(o.Target.Dir, o.Logger)
	return m, nil
}

func mountOptions(o Options) *fuse.MountOptions {
	options := &fuse.MountOptions{
		Name: mountType, FsName: sourceOf(o.Target), AllowOther: o.Settings.AllowOther,
		MaxWrite: maxRequest, MaxReadAhead: maxRequest, MaxBackground: maxBackground,
		MaxInflightRequestBytes: max(o.Settings.MemoryMiB/2<<20, 4*maxRequest),
		IgnoreSecurityLabels:    true, EnableSymlinkCaching: true,
		// What changes the bytes of an inode goes through this mount or is notified, so the kernel need not guess by times.
		ExplicitDataCacheControl: true,
		// Else the kernel asks before each write whether there are file capabilities to remove.
		ExtraCapabilities: fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_READDIRPLUS_AUTO | fuse.CAP_ASYNC_DIO,
		Logger:            slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		DirectMountStrict: os.Geteuid() == 0,
		DirectMountFlags:  unix.MS_NOSUID | unix.MS_NODEV,
	}
	if o.Settings.DefaultPermissions {
		options.Options = append(options.Options, "default_permissions")
	}
	if o.Settings.ReadOnly {
		options.DirectMountFlags |= unix.MS_RDONLY
		if !options.DirectMountStrict {
			options.Options = append(options.Options, "ro")
		}
	}
	return options
}

// sourceOf is what the tables of the kernel call the source of a mount.
func sourceOf(t Target) string {
	if t.Bucket == "" {
		return mountType
	}
	return mountType + ":" + t.Bucket + "/" + t.Prefix
}

// explain adds to an error of mounting what to do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w; the kernel offers no FUSE here (is there /dev/fuse?)", err)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w; users other than root need fusermount3 (Debian: fuse3)", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; this process may not mount", err)
	default:
		return err
	}
}

// Target says what is mounted where.
func (m *Mount) Target() Target { return m.target }

// Done is closed when the mount is gone, whoever unmounted it.
func (m *Mount) Done() <-chan struct{} { return m.served }

// ErrBusy says that a mount is in use.
var ErrBusy = errors.New("the mount is in use")

// Unmount ends a mount. One in use is refused with ErrBusy, or, when it is detached, taken out of the tree at once and
// cut off from those who still use it.
func (m *Mount) Unmount(ctx context.Context, detach bool) error {
	err := unmount(ctx, m.target.Dir, false)
	if err != nil && m.gone() {
		err = nil // somebody else was quicker
	}
	if errors.Is(err, ErrBusy) && detach {
		err = m.cutOff(ctx)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.target.Dir, err)
	}
	select {
	case <-m.served:
	case <-ctx.Done():
		m.log.Warn("the kernel still holds the mount; those who use it are cut off when the process ends", "dir", m.target.Dir)
	}
	return m.end()
}

func (m *Mount) gone() bool {
	select {
	case <-m.served:
		return true
	default:
		return false
	}
}

// cutOff ends a mount that is in use.
func (m *Mount) cutOff(ctx context.Context) error {
	connection, _ := connectionOf(m.target.Dir)
	if err := unmount(ctx, m.target.Dir, true); err != nil {
		return err
	}
	if connection != "" && abort(connection) != nil {
		m.log.Debug("the connection of a mount could not be aborted", "dir", m.target.Dir)
	}
	return nil
}

// end stops what runs beside the mount. Calling it again waits for the same end.
func (m *Mount) end() error {
	m.ending.Do(func() {
		m.stop()
		m.tasks.Wait()
		m.endErr = m.fs.releaseAll()
	})
	return m.endErr
}

// Wait waits until the mount is gone, then cleans up after it.
func (m *Mount) Wait() error {
	<-m.served
	return m.end()
}

// unmount takes a mount out of the tree.
func unmount(ctx context.Context, dir string, detach bool) error {
	if os.Geteuid() == 0 {
		flags := unix.UMOUNT_NOFOLLOW
		if detach {
			flags |= unix.MNT_DETACH
		}
		err := unix.Unmount(dir, flags)
		if errors.Is(err, syscall.EBUSY) {
			return ErrBusy
		}
		return err
	}
	args := []string{"-u"}
	if detach {
		args = append(args, "-z")
	}
	out, err := exec.CommandContext(ctx, "fusermount3", append(args, "--", dir)...).CombinedOutput()
	if err == nil {
		return nil
	}
	if isBusy(string(out)) {
		return ErrBusy
	}
	return fmt.Errorf("fusermount3: %w: %s", err, out)
}
