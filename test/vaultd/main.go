package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
)

type options struct {
	listen, dir, logLevel      string
	tlsCert, tlsKey, tlsClient string
	dev, stdin                 bool
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "`host:port`; port 0 takes a free one")
	flag.BoolVar(&o.dev, "dev", false, "initialise and unseal at the start")
	flag.StringVar(&o.dir, "data", "", "`directory` of the storage; without it, storage is in memory")
	flag.StringVar(&o.tlsCert, "tls-cert", "", "PEM `file` of the certificate; without it, plain HTTP is served")
	flag.StringVar(&o.tlsKey, "tls-key", "", "PEM `file` of the certificate's key")
	flag.StringVar(&o.tlsClient, "tls-client-ca", "", "PEM `file` of the authority whose client certificates are required")
	flag.StringVar(&o.logLevel, "log-level", "warn", "`level` of the log on standard error")
	flag.BoolVar(&o.stdin, "stdin", false, "end when standard input ends")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "vaultd:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if o.stdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(o.logLevel), Output: os.Stderr})
	core, err := newCore(o.dir, log)
	if err != nil {
		return err
	}
	defer func() { _ = core.Shutdown() }()
	var u unsealed
	if o.dev {
		if u, err = openNew(core); err != nil {
			return err
		}
	}
	listener, address, err := listen(o)
	if err != nil {
		return err
	}
	ready, err := json.Marshal(map[string]any{"address": address, "root_token": u.rootToken, "unseal_keys": u.unsealKeys})
	if err != nil {
		return err
	}
	server := newServer(core, listener.Addr().String(), log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println(string(ready))
	select {
	case <-stop.Done():
	case err := <-served:
		return err
	}
	if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listen returns the listener and the URL by which it is reached.
func listen(o options) (net.Listener, string, error) {
	var config *tls.Config
	if o.tlsCert != "" {
		certificate, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return nil, "", err
		}
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	}
	if o.tlsClient != "" {
		authority, err := os.ReadFile(o.tlsClient)
		if err != nil {
			return nil, "", err
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !config.ClientCAs.AppendCertsFromPEM(authority) {
			return nil, "", fmt.Errorf("%s holds no certificate", o.tlsClient)
		}
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return nil, "", err
	}
	if config == nil {
		return listener, "http://" + listener.Addr().String(), nil
	}
	return tls.NewListener(listener, config), "https://" + listener.Addr().String(), nil
}

func newServer(core *vault.Core, address string, log hclog.Logger) *http.Server {
	return &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core: core, ListenerConfig: &configutil.Listener{Address: address},
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          log.StandardLogger(nil),
	}
}
