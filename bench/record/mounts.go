package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"coffer/bench/files"
	"coffer/test/e2e/daemon"
)

// The sides of the measurements over mounts.
const (
	sideCoffer    = "coffer"
	sideGocryptfs = "gocryptfs"
	sideDisk      = "disk"
)

// mounter mounts one side and takes it away again.
type mounter interface {
	mount(ctx context.Context) (commandLine string, err error)
	unmount(ctx context.Context) error
}

// mountedSide makes a side of what can be mounted. The directory is the one that workloads see; disk is one on the file
// system beneath.
func mountedSide(label, dir, disk string, m mounter) files.Side {
	return files.Side{
		Label: label, Dir: dir,
		Sync: func(context.Context) error { return syncDisk(disk) },
		Chill: func(ctx context.Context) error {
			if err := m.unmount(ctx); err != nil {
				return err
			}
			if err := dropCaches(disk); err != nil {
				return err
			}
			_, err := m.mount(ctx)
			return err
		},
	}
}

// plain is the mounter of a directory of the disk.
type plain struct{}

func (plain) mount(context.Context) (string, error) { return "", nil }
func (plain) unmount(context.Context) error         { return nil }

// syncDisk makes everything durable that was written to the file system of a directory.
func syncDisk(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", dir, err)
	}
	return nil
}

// dropCaches has the kernel forget what it keeps of files, which only root may ask for.
func dropCaches(disk string) error {
	if err := syncDisk(disk); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0o200); err != nil {
		return fmt.Errorf("caches can be emptied by root alone: %w", err)
	}
	return nil
}

// cofferMount is a server with a mount of all buckets.
type cofferMount struct {
	binary, dir, at string
	log             io.Writer
	hide            func(*daemon.Daemon)
	server          *daemon.Daemon
}

// cofferBucket is the one that the workloads run in.
const cofferBucket = "bench"

func (m *cofferMount) mount(ctx context.Context) (string, error) {
	server, err := daemon.Start(ctx, daemon.Options{
		Binary: m.binary, Dir: m.dir, Log: m.log, AccessKey: "benchbenchbench", SecretKey: "benchbenchbenchbench",
		Args: []string{"--mount", m.at},
	})
	if err != nil {
		return "", err
	}
	m.server = server
	if err := os.Mkdir(filepath.Join(m.at, cofferBucket), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", errors.Join(err, m.unmount(ctx))
	}
	if m.hide != nil {
		m.hide(server)
	}
	return commandLine(nil, append([]string{m.binary}, server.Args...)), nil
}

func (m *cofferMount) unmount(ctx context.Context) error {
	if m.server == nil {
		return nil
	}
	server := m.server
	m.server = nil
	// Also after an interrupt.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return server.Stop(bounded)
}

// gocryptfsMount is a directory that gocryptfs keeps encrypted in another one.
type gocryptfsMount struct {
	cipher, at, password string
	log                  io.Writer
	command              *exec.Cmd
}

// prepare makes the encrypted directory.
func (m *gocryptfsMount) prepare(ctx context.Context) (string, error) {
	for _, dir := range []string{m.cipher, m.at} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(m.password, []byte("correct horse battery staple\n"), 0o600); err != nil {
		return "", err
	}
	argv := []string{"gocryptfs", "-init", "-q", "-passfile", m.password, m.cipher}
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("gocryptfs (Debian: apt-get install gocryptfs): %w\n%s", err, out)
	}
	return commandLine(nil, argv), nil
}

func (m *gocryptfsMount) mount(ctx context.Context) (string, error) {
	argv := []string{"gocryptfs", "-fg", "-q", "-passfile", m.password, m.cipher, m.at}
	// It ends when it is unmounted.
	m.command = exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	m.command.Stdout, m.command.Stderr = m.log, m.log
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.command.Start(); err != nil {
		return "", err
	}
	deadline := time.Now().Add(30 * time.Second)
	for !mountedOn(m.at) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			_ = m.command.Process.Kill()
			return "", errors.Join(errors.New("gocryptfs does not mount"), m.command.Wait(), ctx.Err())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return commandLine(nil, argv), nil
}

func (m *gocryptfsMount) unmount(context.Context) error {
	if m.command == nil {
		return nil
	}
	command := m.command
	m.command = nil
	if err := unix.Unmount(m.at, 0); err != nil {
		_ = command.Process.Kill()
		return errors.Join(fmt.Errorf("unmount %s: %w", m.at, err), unix.Unmount(m.at, unix.MNT_DETACH), command.Wait())
	}
	return command.Wait()
}

// mountedOn reports whether a directory is the root of a file system.
func mountedOn(dir string) bool {
	var here, above unix.Stat_t
	return unix.Stat(dir, &here) == nil && unix.Stat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

// packTree makes an archive of a source tree that every machine with Go has.
func (r *recorder) packTree(ctx context.Context, archive string) error {
	out, err := r.execute(ctx, nil, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	tree := "runtime"
	if r.flags.Quick {
		tree = "encoding"
	}
	return files.Pack(archive, filepath.Join(strings.TrimSpace(out), "src", tree), "testdata")
}
