package s3api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"coffer/object"
	"coffer/s3api/sigv4"
)

// Options of a Server. Store and Secrets are required; the zero value of every other field is its default.
type Options struct {
	Store   *object.Store
	Secrets sigv4.SecretFunc // secret of an access key

	Admin Admin // serves the administration; nil: NotImplemented

	Region     string   // the one region served; default us-east-1
	Domains    []string // host names under which <bucket>.<domain> is virtual-host style; "localhost" always is
	Owner      Owner    // owner of every bucket and object
	ServerName string   // Server header; default Coffer

	Ready   func() error     // nil error: ready to serve; nil: always
	Logger  *slog.Logger     // nil: no log
	Observe func(Served)     // is told of every request when it was answered, from many goroutines; nil: nobody
	Now     func() time.Time // nil: time.Now

	TLSCertFile, TLSKeyFile string // PEM files; both or none

	// TrustedProxies are the addresses of proxies whose X-Forwarded-Proto is believed: they may bring the keys of clients
	// over plain HTTP when it says https. Other peers may do so from this machine only. Their X-Forwarded-For is believed
	// too: it is where a request came from.
	TrustedProxies []netip.Prefix

	HeaderTimeout  time.Duration // from the first byte of a request to the end of its headers; default 10 s
	IdleTimeout    time.Duration // between requests of a connection; default 2 min
	StallTimeout   time.Duration // without progress while a body is read or written; default 1 min
	RequestTimeout time.Duration // for operations that carry no object data; default 1 min

	MaxConnections  int   // open at a time; more are answered 503; default 8192
	MaxRequests     int   // served at a time; more wait for up to 5 s and are answered SlowDown; default 1024
	MaxUnprovenBody int64 // bytes of a body that alone can prove its request; default 5 GiB
}

// Owner is the canonical user that owns everything.
type Owner struct {
	ID          string // default 64 hex digits that are the same everywhere
	DisplayName string // default coffer
}

const (
	defaultRegion         = "us-east-1"
	defaultServerName     = "Coffer"
	defaultOwnerID        = "9a1bfa1dd2d1e4b2ed1a1f3e2c0a4b6cf7c5d3e8b90a6f417c2d85e6031b4f7a"
	defaultOwnerName      = "coffer"
	defaultHeaderTimeout  = 10 * time.Second
	defaultIdleTimeout    = 2 * time.Minute
	defaultStallTimeout   = time.Minute
	defaultRequestTimeout = time.Minute
	defaultConnections    = 8192
	defaultRequests       = 1024
)

// Validate reports all faults at once.
func (o *Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.Store == nil {
		fault("s3api: no store")
	}
	if o.Secrets == nil {
		fault("s3api: no secrets")
	}
	if strings.ContainsAny(o.Region, "/ \t\r\n") {
		fault("s3api: region %q has characters that a credential scope cannot carry", o.Region)
	}
	for _, d := range o.Domains {
		if !validDomain(d) {
			fault("s3api: domain %q is not a host name", d)
		}
	}
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		fault("s3api: TLS wants a certificate and a key, one of them is missing")
	}
	for _, p := range o.TrustedProxies {
		if !p.IsValid() {
			fault("s3api: a trusted proxy is no address or network")
		}
	}
	if min(o.HeaderTimeout, o.IdleTimeout, o.StallTimeout, o.RequestTimeout) < 0 {
		fault("s3api: a timeout is negative")
	}
	if o.MaxConnections < 0 || o.MaxRequests < 0 || o.MaxUnprovenBody < 0 {
		fault("s3api: a limit is negative")
	}
	return errors.Join(faults...)
}

// validDomain accepts a host name without port; an address cannot have buckets in front of it.
func validDomain(d string) bool {
	return d != "" && strings.Trim(d, ".") == d && !strings.ContainsAny(d, "/:@ \t*") && net.ParseIP(d) == nil
}

func (o *Options) setDefaults() {
	setDefault(&o.Region, defaultRegion)
	setDefault(&o.ServerName, defaultServerName)
	setDefault(&o.Owner.ID, defaultOwnerID)
	setDefault(&o.Owner.DisplayName, defaultOwnerName)
	setDefault(&o.HeaderTimeout, defaultHeaderTimeout)
	setDefault(&o.IdleTimeout, defaultIdleTimeout)
	setDefault(&o.StallTimeout, defaultStallTimeout)
	setDefault(&o.RequestTimeout, defaultRequestTimeout)
	setDefault(&o.MaxConnections, defaultConnections)
	setDefault(&o.MaxRequests, defaultRequests)
	setDefault(&o.MaxUnprovenBody, object.MaxPutSize)
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Observe == nil {
		o.Observe = func(Served) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// tlsConfig loads the certificate; nil without one.
func (o *Options) tlsConfig() (*tls.Config, error) {
	if o.TLSCertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(o.TLSCertFile, o.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("s3api: load TLS certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}, nil
}
