package bench

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// Secret is a secret access key; it is never printed.
type Secret struct{ value string }

// NewSecret takes a secret access key.
func NewSecret(value string) Secret { return Secret{value: value} }

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[redacted]" }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// MemoryLabel is the label of the baseline endpoint, and its whole text form.
const MemoryLabel = "http-memory"

// Endpoint is a server to measure.
type Endpoint struct {
	Label     string // what results call it; no two endpoints share one
	URL       string // scheme, host and port
	AccessKey string
	SecretKey Secret
	Region    string // us-east-1 if empty
	Memory    bool   // a MemoryServer: no signing, no buckets, nothing to remove
}

// ErrEndpoint means that an endpoint cannot be used as described.
var ErrEndpoint = errors.New("invalid endpoint")

// ParseEndpoint reads "http-memory", or a comma-separated list of url=, access=,
// secret= or secret-file=, region= and label=. The label is the URL's host if
// none is given. A secret file holds the secret on its first line.
func ParseEndpoint(text string) (Endpoint, error) {
	if text == MemoryLabel {
		return Endpoint{Label: MemoryLabel, Memory: true}, nil
	}
	endpoint := Endpoint{Region: "us-east-1"}
	for field := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(field, "=")
		if !found {
			// The field is not repeated: it may be a secret.
			return Endpoint{}, fmt.Errorf("%w: a field has no '='", ErrEndpoint)
		}
		if err := endpoint.set(name, value); err != nil {
			return Endpoint{}, err
		}
	}
	if endpoint.Label == "" {
		if u, err := url.Parse(endpoint.URL); err == nil {
			endpoint.Label = u.Host
		}
	}
	return endpoint, endpoint.validate()
}

func (e *Endpoint) set(name, value string) error {
	switch name {
	case "label":
		e.Label = value
	case "url":
		e.URL = strings.TrimSuffix(value, "/")
	case "access":
		e.AccessKey = value
	case "secret":
		e.SecretKey = NewSecret(value)
	case "region":
		e.Region = value
	case "secret-file":
		data, err := os.ReadFile(value)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrEndpoint, err)
		}
		line, _, _ := strings.Cut(string(data), "\n")
		e.SecretKey = NewSecret(strings.TrimSpace(line))
	default:
		return fmt.Errorf("%w: unknown field (want label, url, access, secret, secret-file, region)", ErrEndpoint)
	}
	return nil
}

func (e *Endpoint) validate() error {
	var faults []error
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Path != "" || u.RawQuery != "" {
		faults = append(faults, fmt.Errorf("%w: url must be http://HOST:PORT or https://HOST:PORT", ErrEndpoint))
	}
	if e.Label == "" {
		faults = append(faults, fmt.Errorf("%w: no label", ErrEndpoint))
	}
	if !e.Memory && (e.AccessKey == "" || e.SecretKey.value == "") {
		faults = append(faults, fmt.Errorf("%w: access and secret are needed", ErrEndpoint))
	}
	return errors.Join(faults...)
}

// loopback tells whether the endpoint's host is this machine by its very name:
// a loopback address, localhost, or a name below localhost.
func (e *Endpoint) loopback() bool {
	u, err := url.Parse(e.URL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
