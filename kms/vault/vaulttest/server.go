package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"
)

// startWithin bounds a start, stopWithin an end. Machines that run tests are loaded.
const (
	startWithin = 2 * time.Minute
	stopWithin  = 20 * time.Second
)

// Options say how the server runs. The zero value is plain HTTP over memory.
type Options struct {
	// Dir keeps the server's storage, which a Restart finds again. Without it
	// the storage is in memory.
	Dir string
	// TLS serves HTTPS under an authority of this server's own (Server.CAFile).
	TLS bool
	// ClientCertificate demands one of that authority's from every client
	// (Server.ClientCertFile, Server.ClientKeyFile). It needs TLS.
	ClientCertificate bool
}

// Server is a running Vault server.
type Server struct {
	// Address is the URL of the server. It stays the same over a Restart.
	Address string
	// RootToken never expires.
	RootToken string
	// CAFile, ClientCertFile and ClientKeyFile are PEM files. They are empty
	// without TLS.
	CAFile         string
	ClientCertFile string
	ClientKeyFile  string

	options   Options
	binary    string
	unsealKey string
	pki       *pki // nil without TLS

	mu      sync.Mutex
	process *process
}

// Start launches a server for one test and stops it when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Launch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("vaultd says:\n%s", s.process.log.String())
		}
	})
	return s
}

// Launch starts a server that is initialised and unsealed. The caller stops it.
func Launch(ctx context.Context, o Options) (*Server, error) {
	binary, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, binary: binary}
	if o.TLS {
		if s.pki, err = newPKI(); err != nil {
			return nil, fmt.Errorf("making certificates: %w", err)
		}
		s.CAFile, s.ClientCertFile, s.ClientKeyFile = s.pki.caFile, s.pki.clientCertFile, s.pki.clientKeyFile
	}
	if err := s.run(ctx, "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.pki.remove())
	}
	if o.Dir != "" {
		err = s.initialise(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// run starts the process. The caller is alone or holds mu.
func (s *Server) run(ctx context.Context, listen string) error {
	args := []string{"-stdin", "-listen", listen}
	if s.options.Dir != "" {
		args = append(args, "-data", s.options.Dir)
	} else {
		args = append(args, "-dev")
	}
	if s.pki != nil {
		args = append(args, "-tls-cert", s.pki.serverCertFile, "-tls-key", s.pki.serverKeyFile)
	}
	if s.options.ClientCertificate {
		args = append(args, "-tls-client-ca", s.pki.caFile)
	}
	p, ready, err := startProcess(ctx, s.binary, args)
	if err != nil {
		return err
	}
	s.process, s.Address = p, ready.Address
	if ready.RootToken != "" {
		s.RootToken, s.unsealKey = ready.RootToken, ready.UnsealKeys[0]
	}
	return nil
}

// UnsealKey is the one share of the key that unseals the server, in base 16. Unseal
// uses it by itself.
func (s *Server) UnsealKey() string { return s.unsealKey }

// Restart kills the process and starts another one over the same files, at the
// same address. It is sealed then.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.options.Dir == "" {
		t.Fatal("a server in memory has nothing to restart from")
	}
	u, err := url.Parse(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.kill()
	if err := s.run(t.Context(), u.Host); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the process, and removes the certificates.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.process.stop(), s.pki.remove())
}

// remove deletes the directory of the certificates.
func (p *pki) remove() error {
	if p == nil {
		return nil
	}
	return os.RemoveAll(p.dir)
}
