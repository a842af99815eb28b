package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// Units of the rows.
const (
	unitMB    = "MB/s"
	unitOps   = "ops/s"
	unitFiles = "files/s"
)

// workloads in their order.
func workloads() []workload {
	return []workload{
		{row: "sequential write", unit: unitMB, do: writing(false)},
		{row: "sequential write, fsync at the end", unit: unitMB, do: writing(true)},
		{row: "sequential read, cold", unit: unitMB, cold: true, do: readAll},
		{row: "sequential read, warm", unit: unitMB, do: readAll},
		{row: "random 4 KiB read, cold", unit: unitOps, cold: true, do: readRandomly},
		{row: "random 4 KiB write", unit: unitOps, do: writingRandomly(never)},
		{row: "random 4 KiB write, fsync at the end", unit: unitOps, do: writingRandomly(atEnd)},
		{row: "random 4 KiB write, fsync of each", unit: unitOps, do: writingRandomly(always)},
		{row: "create small files", unit: unitFiles, synced: "create small files, then sync", do: creating(false)},
		{row: "stat small files, cold", unit: unitFiles, cold: true, do: statAll},
		{row: "readdir of small files, cold", unit: unitFiles, cold: true, do: listAll},
		{row: "read small files, cold", unit: unitFiles, cold: true, do: readSmall},
		{row: "unlink small files", unit: unitFiles, synced: "unlink small files, then sync", do: unlinkAll},
		{row: "create small files, fsync of each", unit: unitFiles, do: creating(true)},
		{row: "untar a source tree", synced: "untar a source tree, then sync", do: untar},
		{row: "git add and commit", synced: "git add and commit, then sync", do: gitCommit},
		{row: "git status, cold", cold: true, do: gitStatus},
		{row: "git status, warm", do: gitStatus},
	}
}

// bytesOf gives bytes that do not compress, always the same for a seed.
func bytesOf(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	p := make([]byte, n)
	rand.NewChaCha8(key).Read(p)
	return p
}

// finish closes a file that was written, after an fsync if that is wanted.
func finish(f *os.File, sync bool, err error) error {
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

const bigFile = "big"

func megabytes(n int64) float64 { return float64(n) / 1e6 }

func writing(sync bool) func(context.Context, *job) (float64, error) {
	return func(_ context.Context, j *job) (float64, error) {
		f, err := os.Create(j.path(bigFile))
		if err != nil {
			return 0, err
		}
		p := bytesOf(uint64(j.round), step)
		for off := int64(0); off < j.sizes.FileBytes && err == nil; off += step {
			_, err = f.Write(p)
		}
		return megabytes(j.sizes.FileBytes), finish(f, sync, err)
	}
}

func readAll(_ context.Context, j *job) (float64, error) {
	f, err := os.Open(j.path(bigFile))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	p := make([]byte, step)
	for off := int64(0); off < j.sizes.FileBytes; off += step {
		if _, err := io.ReadFull(f, p); err != nil {
			return 0, err
		}
	}
	return megabytes(j.sizes.FileBytes), nil
}

// places gives offsets of blocks in the big file, at random and the same for all sides.
func (j *job) places(n int, seed uint64) []int64 {
	random := rand.New(rand.NewPCG(uint64(j.round), seed))
	places := make([]int64, n)
	for i := range places {
		places[i] = random.Int64N(j.sizes.FileBytes/block) * block
	}
	return places
}

func readRandomly(_ context.Context, j *job) (float64, error) {
	f, err := os.Open(j.path(bigFile))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	p := make([]byte, block)
	for _, off := range j.places(j.sizes.RandomReads, 1) {
		if _, err := f.ReadAt(p, off); err != nil {
			return 0, err
		}
	}
	return float64(j.sizes.RandomReads), nil
}

// when a file is synced that is written at random.
type when int

const (
	never when = iota
	atEnd
	always
)

func writingRandomly(sync when) func(context.Context, *job) (float64, error) {
	return func(_ context.Context, j *job) (float64, error) {
		f, err := os.OpenFile(j.path(bigFile), os.O_RDWR, 0)
		if err != nil {
			return 0, err
		}
		n := j.sizes.RandomWrites
		if sync == always {
			n = j.sizes.SyncedWrites
		}
		p := bytesOf(uint64(j.round), block)
		for _, off := range j.places(n, 2+uint64(sync)) {
			if _, err = f.WriteAt(p, off); err == nil && sync == always {
				err = f.Sync()
			}
			if err != nil {
				break
			}
		}
		return float64(n), finish(f, sync == atEnd, err)
	}
}

const smallDir = "small"

// small is the name of a small file below the directory of its kind.
func (j *job) small(i int) string {
	return filepath.Join(j.path(smallDir), strconv.Itoa(i/j.sizes.PerDirectory), fmt.Sprintf("file-%05d.txt", i))
}

func creating(sync bool) func(context.Context, *job) (float64, error) {
	return func(_ context.Context, j *job) (float64, error) {
		p := bytesOf(uint64(j.round), j.sizes.SmallBytes)
		for i := range j.sizes.Small {
			name := j.small(i)
			if i%j.sizes.PerDirectory == 0 {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					return 0, err
				}
			}
			f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if err != nil {
				return 0, err
			}
			_, err = f.Write(p)
			if err := finish(f, sync, err); err != nil {
				return 0, err
			}
		}
		return float64(j.sizes.Small), nil
	}
}

func (j *job) eachSmall(do func(name string) error) (float64, error) {
	for i := range j.sizes.Small {
		if err := do(j.small(i)); err != nil {
			return 0, err
		}
	}
	return float64(j.sizes.Small), nil
}

func statAll(_ context.Context, j *job) (float64, error) {
	return j.eachSmall(func(name string) error {
		info, err := os.Stat(name)
		if err == nil && info.Size() != int64(j.sizes.SmallBytes) {
			err = fmt.Errorf("%s has %d bytes", name, info.Size())
		}
		return err
	})
}

func listAll(_ context.Context, j *job) (float64, error) {
	count := 0
	err := filepath.WalkDir(j.path(smallDir), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	})
	if err == nil && count != j.sizes.Small {
		err = fmt.Errorf("%d files are listed, not %d", count, j.sizes.Small)
	}
	return float64(count), err
}

func readSmall(_ context.Context, j *job) (float64, error) {
	return j.eachSmall(func(name string) error {
		p, err := os.ReadFile(name)
		if err == nil && len(p) != j.sizes.SmallBytes {
			err = fmt.Errorf("%s has %d bytes", name, len(p))
		}
		return err
	})
}

func unlinkAll(_ context.Context, j *job) (float64, error) { return j.eachSmall(os.Remove) }
