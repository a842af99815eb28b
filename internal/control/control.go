package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	mount "coffer/fs"
)

// SocketFile is the name of the socket in the configuration directory.
const SocketFile = "control.sock"

const (
	maxMessage = 64 << 10         // bytes
	timeout    = 30 * time.Second // of one request
)

// Operation is what a Request asks for.
type Operation string

// The operations.
const (
	OpMount   Operation = "mount"
	OpUnmount Operation = "unmount"
	OpList    Operation = "list"
)

// Request is one question.
type Request struct {
	Operation Operation      `json:"operation"`
	Target    mount.Target   `json:"target"`   // of an unmount its directory counts
	Settings  mount.Settings `json:"settings"` // of a mount
	Detach    bool           `json:"detach"`   // of an unmount: also a mount in use
}

// answer is what comes back.
type answer struct {
	Error  string         `json:"error,omitempty"`
	Mounts []mount.Target `json:"mounts,omitempty"`
}

// Error is a refusal of the server.
type Error struct{ Message string }

// Error is what the server said.
func (e *Error) Error() string { return e.Message }

// ErrNoServer says that nobody listens.
var ErrNoServer = errors.New("no server runs")

// Mounts does what is asked for.
type Mounts interface {
	Add(ctx context.Context, target mount.Target, set mount.Settings) (*mount.Mount, error)
	Remove(ctx context.Context, dir string, detach bool) error
	List() []mount.Target
}

// Server answers requests.
type Server struct {
	listener net.Listener
	mounts   Mounts
	log      *slog.Logger
	work     sync.WaitGroup
}

// Listen begins to answer on the socket in a directory. One that another process has left is replaced.
func Listen(dir string, mounts Mounts, log *slog.Logger) (*Server, error) {
	path := filepath.Join(dir, SocketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, done, err := shortened(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by the short name it could not
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{listener: listener, mounts: mounts, log: log}
	s.work.Go(s.accept)
	return s, nil
}

// shortened names the socket by a descriptor of its directory: addresses hold 107 bytes only.
func shortened(dir string) (name string, done func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/" + SocketFile, d.Close, nil
}

// Close ends the server and waits for what is under way.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.work.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() {
			defer conn.Close()
			if err := s.serve(conn); err != nil {
				s.log.Warn("a request on the control socket failed", "error", err)
			}
		})
	}
}

func (s *Server) serve(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	var req Request
	if err := receive(conn, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var a answer
	if err := s.do(ctx, &req, &a); err != nil {
		a.Error = err.Error()
	}
	return send(conn, &a)
}

func (s *Server) do(ctx context.Context, req *Request, a *answer) error {
	switch req.Operation {
	case OpMount:
		_, err := s.mounts.Add(ctx, req.Target, req.Settings)
		return err
	case OpUnmount:
		return s.mounts.Remove(ctx, req.Target.Dir, req.Detach)
	case OpList:
		a.Mounts = s.mounts.List()
		return nil
	default:
		return fmt.Errorf("no operation %q", req.Operation)
	}
}

// Ask asks the server of a configuration directory. It fails with ErrNoServer where none runs, and with an *Error
// where the server refuses.
func Ask(ctx context.Context, dir string, req Request) ([]mount.Target, error) {
	short, done, err := shortened(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if err := send(conn, &req); err != nil {
		return nil, err
	}
	var a answer
	if err := receive(conn, &a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, &Error{a.Error}
	}
	return a.Mounts, nil
}

func send(w io.Writer, message any) error { return json.NewEncoder(w).Encode(message) }

func receive(r io.Reader, message any) error {
	line, err := bufio.NewReader(io.LimitReader(r, maxMessage)).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	return json.Unmarshal(line, message)
}
