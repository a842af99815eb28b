package vaulttest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// callTimeout bounds one call of a client.
const callTimeout = 30 * time.Second

// Root returns a client with the root token.
func (s *Server) Root(t testing.TB) *api.Client {
	t.Helper()
	return s.Client(t, s.RootToken)
}

// Client returns a client with a token.
func (s *Server) Client(t testing.TB, token string) *api.Client {
	t.Helper()
	c, err := s.client(token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *Server) client(token string) (*api.Client, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true} // nobody closes a client
	if s.pki != nil {
		config, err := s.clientTLS()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = config
	}
	c, err := api.NewClient(&api.Config{
		Address: s.Address, HttpClient: &http.Client{Transport: transport}, Timeout: callTimeout,
	})
	if err != nil {
		return nil, err
	}
	// What the environment has put in is taken out again.
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	c.ClearNamespace()
	c.SetToken(token)
	return c, nil
}

func (s *Server) clientTLS() (*tls.Config, error) {
	ca, err := os.ReadFile(s.pki.caFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", s.pki.caFile)
	}
	certificate, err := tls.LoadX509KeyPair(s.pki.clientCertFile, s.pki.clientKeyFile)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{certificate}
	return config, nil
}

// write makes a call that must succeed and returns its data.
func (s *Server) write(t testing.TB, path string, data map[string]any) map[string]any {
	t.Helper()
	secret, err := s.Root(t).Logical().WriteWithContext(t.Context(), path, data)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	if secret == nil {
		return nil
	}
	return secret.Data
}
