package vault

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"

	"coffer/cipher"
)

// Defaults of Options.
const (
	DefaultMount           = "transit"
	DefaultKVMount         = "secret"
	DefaultKVPrefix        = "coffer/kms/keys"
	DefaultCallTimeout     = 1500 * time.Millisecond
	DefaultAdminTimeout    = 30 * time.Second
	DefaultAttempts        = 3
	DefaultInFlight        = 64
	DefaultBreakerFailures = 5
	DefaultBreakerPause    = 5 * time.Second
)

// Options say where Vault is and how it is used.
type Options struct {
	// Instance is the backend's id, kept by the configuration. Required.
	Instance cipher.InstanceID
	// Address is Vault's URL, https or http. Required.
	Address string
	// DangerPlainHTTP allows http to other machines. Tokens and KEKs then cross
	// the network for all to read. On loopback addresses http is always allowed.
	DangerPlainHTTP bool
	// TLS is for https.
	TLS TLS
	// Namespace is sent as Vault's namespace header; none when empty.
	Namespace string
	// Mount is the path of the Transit engine; DefaultMount when empty.
	Mount string
	// Auth is how the backend gets its token. Required.
	Auth Auth

	// KVMount and KVPrefix say where in a KV engine of version 2 the state of
	// keys is kept. DefaultKVMount and DefaultKVPrefix when empty.
	KVMount  string
	KVPrefix string
	// State keeps it where the token may not use that engine, or there is none.
	// Without it such keys are always enabled.
	State StateStore

	// CallTimeout bounds GenerateKEK, Unwrap and Rewrap, attempts and pauses
	// together. DefaultCallTimeout when zero.
	CallTimeout time.Duration
	// AdminTimeout bounds one attempt of everything else. DefaultAdminTimeout
	// when zero.
	AdminTimeout time.Duration
	// Attempts is how often a call is made that may be repeated. Creating and
	// rotating a key are never repeated. DefaultAttempts when zero.
	Attempts int
	// InFlight is how many calls are made at once; the others wait for their
	// turn within their bound. DefaultInFlight when zero.
	InFlight int
	// BreakerFailures in a row open the circuit: for BreakerPause no call is
	// made, then one, and its outcome decides. DefaultBreakerFailures and
	// DefaultBreakerPause when zero.
	BreakerFailures int
	BreakerPause    time.Duration

	// OnAuth is told of every "login" and "renew" of the token; may be nil.
	OnAuth func(op string, took time.Duration, err error)
	// Logger is told of logins that fail; none when nil.
	Logger *slog.Logger
}

// TLS says what is trusted and shown on https.
type TLS struct {
	// CAFile holds the PEM certificates that are trusted; the system's are when
	// it is empty.
	CAFile string
	// ClientCertFile and ClientKeyFile are the PEM files of a client
	// certificate. They are read again for every connection.
	ClientCertFile string
	ClientKeyFile  string
	// ServerName is expected in Vault's certificate, instead of the address.
	ServerName string
	// DangerSkipVerify trusts whoever answers: anybody on the way can read and
	// replace every token and KEK.
	DangerSkipVerify bool
}

// Validate reports all faults of o at once.
func (o Options) Validate() error {
	errs := o.TLS.faults()
	fault := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("vault: "+format, args...))
		}
	}
	fault(o.Instance.IsZero(), "Options.Instance is missing")
	errs = append(errs, o.addressFaults()...)
	for name, path := range map[string]string{
		"Mount": o.Mount, "Namespace": o.Namespace, "KVMount": o.KVMount, "KVPrefix": o.KVPrefix,
	} {
		trimmed := strings.Trim(path, "/")
		fault(trimmed != "" && !isPath(trimmed), "Options.%s %q is not a path of Vault's", name, path)
	}
	if o.Auth == nil {
		fault(true, "Options.Auth is missing")
	} else {
		errs = append(errs, o.Auth.faults()...)
	}
	fault(o.CallTimeout < 0, "Options.CallTimeout is negative")
	fault(o.AdminTimeout < 0, "Options.AdminTimeout is negative")
	fault(o.Attempts < 0, "Options.Attempts is negative")
	fault(o.InFlight < 0, "Options.InFlight is negative")
	fault(o.BreakerFailures < 0, "Options.BreakerFailures is negative")
	fault(o.BreakerPause < 0, "Options.BreakerPause is negative")
	return errors.Join(errs...)
}

// addressFaults never repeats the address, which may hold a password.
func (o Options) addressFaults() []error {
	u, err := url.Parse(o.Address)
	switch {
	case o.Address == "":
		return []error{errors.New("vault: Options.Address is missing")}
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return []error{errors.New("vault: Options.Address is not an http or https URL")}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return []error{errors.New("vault: Options.Address holds more than scheme, host, port and path")}
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !o.DangerPlainHTTP:
		return []error{fmt.Errorf("vault: Options.Address is plain http to %s, "+
			"which would send tokens and keys in the clear: use https, or set DangerPlainHTTP", u.Host)}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (t TLS) faults() []error {
	if (t.ClientCertFile == "") != (t.ClientKeyFile == "") {
		return []error{errors.New("vault: TLS.ClientCertFile and TLS.ClientKeyFile go together")}
	}
	return nil
}

// isPath reports whether p can be a part of Vault's paths: segments between
// single slashes, nothing that a URL would read otherwise.
func isPath(p string) bool {
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for _, r := range segment {
			if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`?#%\*+`, r) {
				return false
			}
		}
	}
	return true
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	for _, path := range []*string{&o.Mount, &o.Namespace, &o.KVMount, &o.KVPrefix} {
		*path = strings.Trim(*path, "/")
	}
	setDefault(&o.Mount, DefaultMount)
	setDefault(&o.KVMount, DefaultKVMount)
	setDefault(&o.KVPrefix, DefaultKVPrefix)
	setDefault(&o.CallTimeout, DefaultCallTimeout)
	setDefault(&o.AdminTimeout, DefaultAdminTimeout)
	setDefault(&o.Attempts, DefaultAttempts)
	setDefault(&o.InFlight, DefaultInFlight)
	setDefault(&o.BreakerFailures, DefaultBreakerFailures)
	setDefault(&o.BreakerPause, DefaultBreakerPause)
	if o.OnAuth == nil {
		o.OnAuth = func(string, time.Duration, error) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
