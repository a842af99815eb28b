package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"coffer/bench/files"
	"coffer/test/e2e/daemon"
)

// aboutMount says what the rows of the mounts mean.
const aboutMount = "Coffer's mount, gocryptfs, and the disk that both keep their data on, in turns within each of the rounds; medians, " +
	"and the median over the rounds of how much quicker Coffer is than gocryptfs. One caller, files of 2 KiB in directories of 100. " +
	"Cold: the server and gocryptfs have been stopped and started, and the kernel's caches dropped. The tree is the package runtime of Go, " +
	"without `testdata`: about a thousand files.\n\n" +
	"What is durable: with Coffer everything that close, unlink, mkdir and rename have answered, in every row, since close commits. " +
	"With gocryptfs nothing before fsync or sync, as on the disk beneath. " +
	"Rows without fsync and sync therefore hold what Coffer makes durable against what gocryptfs does not; " +
	"those with fsync, or a sync of the disk behind all of it, promise the same on every side."

// measureMount measures mounts against each other.
func measureMount(ctx context.Context, r *recorder, p *part) (err error) {
	for _, name := range []string{"gocryptfs", "git", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (Debian: apt-get install %s)", err, name)
		}
	}
	log, err := os.Create(filepath.Join(r.dir, "mounts.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	plan := files.Plan{Sizes: files.DefaultSizes(), Rounds: r.flags.Rounds, Tar: filepath.Join(r.dir, "tree.tar"), Progress: progress}
	if r.flags.Quick {
		plan.Sizes, plan.Rounds = quickSizes(), 1
	}
	if err := r.packTree(ctx, plan.Tar); err != nil {
		return err
	}
	gocryptfs := &gocryptfsMount{
		cipher: filepath.Join(r.dir, "gocryptfs"), at: filepath.Join(r.dir, "gocryptfs-mount"),
		password: filepath.Join(r.dir, "gocryptfs-password"), log: log,
	}
	line, err := gocryptfs.prepare(ctx)
	if err != nil {
		return err
	}
	p.commands = append(p.commands, r.hide(line))
	coffer := r.cofferMount(log)
	defer func() { err = errors.Join(err, coffer.unmount(ctx), gocryptfs.unmount(ctx)) }()
	for _, m := range []mounter{gocryptfs, coffer} {
		line, err := m.mount(ctx)
		if err != nil {
			return err
		}
		p.commands = append(p.commands, r.hide(line))
	}
	bare := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(bare, 0o755); err != nil {
		return err
	}
	plan.Sides = []files.Side{
		mountedSide(sideGocryptfs, gocryptfs.at, r.dir, gocryptfs),
		mountedSide(sideCoffer, filepath.Join(coffer.at, cofferBucket), r.dir, coffer),
		mountedSide(sideDisk, bare, r.dir, plain{}),
	}
	report, err := files.Run(ctx, &plan)
	if err != nil {
		return err
	}
	p.output = report.Text(sideCoffer)
	return nil
}

func (r *recorder) cofferMount(log *os.File) *cofferMount {
	return &cofferMount{
		binary: r.flags.Coffer, dir: filepath.Join(r.dir, "coffer-files"), at: filepath.Join(r.dir, "coffer-mount"), log: log,
		hide: func(d *daemon.Daemon) { r.hidden = append(r.hidden, strings.TrimPrefix(d.URL, "http://"), "$ADDRESS") },
	}
}

// quickSizes are those to try the tool with.
func quickSizes() files.Sizes {
	return files.Sizes{
		FileBytes: 16 << 20, RandomReads: 500, RandomWrites: 500, SyncedWrites: 50, Small: 300, SmallBytes: 2048, PerDirectory: 100,
	}
}

func progress(round int, row, side string) {
	fmt.Fprintf(os.Stderr, "round %d: %s: %s\n", round+1, row, side)
}
