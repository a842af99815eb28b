package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/fs"
)

// kept is a table of mounts that mounts nothing.
type kept struct {
	targets []fs.Target
	sets    []fs.Settings
	err     error
}

func (k *kept) Add(_ context.Context, t fs.Target, set fs.Settings) (*fs.Mount, error) {
	k.targets, k.sets = append(k.targets, t), append(k.sets, set)
	return nil, k.err
}

func (k *kept) Remove(_ context.Context, dir string, detach bool) error {
	if detach {
		return fs.ErrNotMounted
	}
	return k.err
}

func (k *kept) List() []fs.Target { return k.targets }

func TestAsk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40)) // addresses of sockets are short
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), dir, Request{Operation: OpList}); !errors.Is(err, ErrNoServer) {
		t.Fatalf("without a socket: %v", err)
	}
	if _, err := Ask(t.Context(), filepath.Join(dir, "none"), Request{Operation: OpList}); !errors.Is(err, ErrNoServer) {
		t.Fatalf("without a directory: %v", err)
	}
	k := &kept{}
	s, err := Listen(dir, k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, SocketFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	target, set := fs.Target{Dir: "/mnt", Bucket: "bucket", Prefix: "p/"}, fs.DefaultSettings()
	if _, err := Ask(t.Context(), dir, Request{Operation: OpMount, Target: target, Settings: set}); err != nil {
		t.Fatal(err)
	}
	list, err := Ask(t.Context(), dir, Request{Operation: OpList})
	if diff := cmp.Diff([]fs.Target{target}, list); err != nil || diff != "" {
		t.Errorf("list: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]fs.Settings{set}, k.sets); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	for _, req := range []Request{{Operation: OpUnmount, Detach: true}, {Operation: "other"}} {
		_, err = Ask(t.Context(), dir, req)
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%q: %v, want a refusal", req.Operation, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), dir, Request{Operation: OpList}); !errors.Is(err, ErrNoServer) {
		t.Errorf("after the server's end: %v", err)
	}
	again, err := Listen(dir, k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("a socket that is left: %v", err)
	}
	again.Close()
}

// TestGarbage sends what is no request: the server goes on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Listen(dir, &kept{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, text := range []string{"", "\n", "{}\n", "[]\n", strings.Repeat("x", 2*maxMessage) + "\n"} {
		conn, err := net.Dial("unix", filepath.Join(dir, SocketFile))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, text)
		conn.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	if _, err := Ask(t.Context(), dir, Request{Operation: OpList}); err != nil {
		t.Error(err)
	}
}
