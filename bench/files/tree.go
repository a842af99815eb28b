package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const treeDir = "tree"

func untar(ctx context.Context, j *job) (float64, error) {
	if err := os.Mkdir(j.path(treeDir), 0o755); err != nil {
		return 0, err
	}
	return 1, program(ctx, "tar", "-x", "-f", j.tar, "-C", j.path(treeDir))
}

func gitCommit(ctx context.Context, j *job) (float64, error) {
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "--message=tree"}} {
		if err := j.git(ctx, args...); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

func gitStatus(ctx context.Context, j *job) (float64, error) {
	return 1, j.git(ctx, "status", "--porcelain")
}

// git runs in the tree, with the settings of nobody.
func (j *job) git(ctx context.Context, args ...string) error {
	return program(ctx, "git", append([]string{
		"-C", j.path(treeDir), "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0", "-c", "safe.directory=*",
	}, args...)...)
}

func program(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(command.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Pack makes an archive of the regular files below a directory. Directories of the given names are left out.
func Pack(archive, root string, without ...string) (err error) {
	skip := make(map[string]bool)
	for _, name := range without {
		skip[name] = true
	}
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && skip[d.Name()]:
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return pack(w, root, path, d)
	})
	return errors.Join(err, w.Close(), out.Close())
}

func pack(w *tar.Writer, root, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	err = w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime(),
	})
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(w, in)
	return err
}
