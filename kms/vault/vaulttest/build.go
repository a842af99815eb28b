package vaulttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// sources is where the server's module stands below the root of the product's.
const sources = "test/vaultd"

// buildArgs stay the same for everybody, so that compiled packages are shared.
func buildArgs() []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-tags=minimal", "-ldflags=-s -w"}
}

// Binary returns the path of the server, and builds it when it is not there.
// The working directory is inside the product's module.
func Binary(ctx context.Context) (string, error) {
	dir, err := sourceDir()
	if err != nil {
		return "", err
	}
	sum, err := hashSources(dir)
	if err != nil {
		return "", fmt.Errorf("reading the sources of vaultd: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir() // without a home directory there is no cache directory either
	}
	cache = filepath.Join(cache, "coffer", "vaultd")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "vaultd-"+sum)
	if exists(binary) {
		return binary, nil
	}
	// Packages are tested by processes of their own: one builds, the others wait.
	unlock, err := lock(binary + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(binary) {
		return binary, nil
	}
	return binary, build(ctx, dir, binary)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sourceDir looks for the module upwards from the working directory.
func sourceDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		found := filepath.Join(dir, filepath.FromSlash(sources))
		if exists(filepath.Join(found, "go.mod")) {
			return found, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no %s above the working directory", sources)
		}
		dir = parent
	}
}

// hashSources names a build by all that goes into it.
func hashSources(dir string) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildArgs())
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || !d.Type().IsRegular() || filepath.Ext(name) != ".go" && !strings.HasPrefix(name, "go.") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s\n%d\n%s", filepath.ToSlash(relative), len(content), content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:16]), err
}

// build leaves nothing at binary unless it is whole.
func build(ctx context.Context, dir, binary string) error {
	temporary := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer func() { _ = os.Remove(temporary) }()
	command := exec.CommandContext(ctx, "go", append(buildArgs(), "-o", temporary, ".")...)
	command.Dir = dir
	command.Env = append(command.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("building vaultd (go test -run TestBinary -timeout 30m ./kms/vault/vaulttest builds it alone): %w\n%s",
			errors.Join(ctx.Err(), err), output.Bytes())
	}
	return os.Rename(temporary, binary)
}
