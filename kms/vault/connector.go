package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxAnswer bounds what is read of one answer. That of a full rewrap batch has
// some 200 KiB, or 2 MiB when the key is an RSA key.
const maxAnswer = 16 << 20

// connector makes clients of one Vault. They share their connections.
type connector struct {
	address   string
	namespace string
	transport *http.Transport
}

func newConnector(o Options) (*connector, error) {
	config, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &connector{address: o.Address, namespace: o.Namespace, transport: &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 10 * time.Second,
		// All calls go to one host, so each may keep its connection.
		MaxIdleConns:        o.InFlight,
		MaxIdleConnsPerHost: o.InFlight,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
		// One HTTP/2 connection carries everything: notice when it is dead.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},
	}}, nil
}

// config reads the files once, to report what is wrong with them early.
func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.DangerSkipVerify,
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("vault: TLS.CAFile: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("vault: TLS.CAFile %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.ClientCertFile != "" {
		if _, err := t.clientCertificate(nil); err != nil {
			return nil, err
		}
		c.GetClientCertificate = t.clientCertificate
	}
	return c, nil
}

func (t TLS) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(t.ClientCertFile, t.ClientKeyFile)
	if err != nil {
		return nil, fmt.Errorf("vault: TLS.ClientCertFile %s and TLS.ClientKeyFile %s: %w", t.ClientCertFile, t.ClientKeyFile, err)
	}
	return &certificate, nil
}

// client returns a client with a token, or without one when it is empty. Nothing
// of it comes from the environment.
func (c *connector) client(token string) (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address:    c.address,
		MaxRetries: 0, // attempts are counted in one place, do
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) { return false, nil },
		// The library would follow redirects without the body of the request.
		DisableRedirects: true,
		HttpClient:       &http.Client{Transport: boundedBodies{c.transport}, CheckRedirect: checkRedirect},
	})
	if err != nil {
		return nil, fmt.Errorf("vault: making the client: %w", err)
	}
	// NewClient takes these from the environment; here they come from Options.
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	if c.namespace == "" {
		client.ClearNamespace()
	} else {
		client.SetNamespace(c.namespace)
	}
	client.SetToken(token)
	return client, nil
}

// checkRedirect follows a standby to the server that is active: once, and never
// from https to http.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > 1:
		return errors.New("Vault redirects more than once")
	case via[0].URL.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("Vault redirects from https to plain http")
	case next.Method != via[0].Method:
		return errors.New("Vault redirects in a way that would change the request")
	default:
		return nil
	}
}

// boundedBodies fails answers longer than maxAnswer.
type boundedBodies struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	return response, nil
}
