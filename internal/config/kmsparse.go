package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/static"
)

// Bounds of what is accepted for the key service. It takes over-large values as
// its own limits.
const (
	maxSeconds       = 10 * 365 * 24 * 3600
	maxCount         = 1 << 30
	maxWords         = 1024
	minProbeInterval = 5 * time.Second
	minKeyMaxAge     = time.Hour
)

// parsed is the set of a value that parse reads.
func parsed[T any](field func(*draft) *T, parse func(string) (T, error)) func(*draft, given) error {
	return func(c *draft, g given) error { return keep(field(c), g, parse) }
}

// absolute is the set of a path that must not depend on where the process was
// started. Only in the configuration file it may be relative, to that file.
func absolute(field func(*draft) *string) func(*draft, given) error {
	set := path(field)
	return func(c *draft, g given) error {
		if g.origin.Source != FromFile && !filepath.IsAbs(g.text()) {
			return fmt.Errorf("%q is not an absolute path", g.text())
		}
		return set(c, g)
	}
}

// parseKMSType takes the names that S3 servers have for the types.
func parseKMSType(s string) (string, error) {
	switch t := strings.ReplaceAll(strings.ToLower(s), "_", "-"); t {
	case KMSLocal, KMSVault, KMSStatic:
		return t, nil
	case "vault-transit":
		return KMSVault, nil
	}
	return "", fmt.Errorf("there is no backend type %q: there are local, vault (Transit) and static", s)
}

func parseKeyID(s string) (string, error) { return s, kms.CheckKeyID(s) }

func parseSeconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number of seconds over 0", s)
	}
	return time.Duration(min(n, maxSeconds)) * time.Second, nil
}

// parseProbeInterval gives a negative interval for 0, which means no probes.
func parseProbeInterval(s string) (time.Duration, error) {
	if s == "0" {
		return -1, nil
	}
	d, err := parseSeconds(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of seconds, nor 0 for no probes", s)
	}
	return max(d, minProbeInterval), nil
}

// parseMaxAge takes what is shorter than an hour as an hour.
func parseMaxAge(s string) (time.Duration, error) {
	d, err := parseSeconds(s)
	if err != nil {
		return 0, err
	}
	return max(d, minKeyMaxAge), nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number over 0", s)
	}
	return int(min(n, maxCount)), nil
}

// parseWords takes names and paths of Vault.
func parseWords(s string) (string, error) {
	if s == "" || len(s) > maxWords || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("must have 1 to %d bytes, without control characters", maxWords)
	}
	return s, nil
}

// parseURL takes the address of Vault. Its errors do not quote it: it may hold
// a password by mistake.
func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("is neither an https nor an http URL")
	case u.Hostname() == "":
		return "", errors.New("names no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("holds more than scheme, host, port and path")
	}
	return s, nil
}

// isPlain reports whether others could read what is sent to an address.
func isPlain(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	host := u.Hostname()
	return host != "localhost" && !net.ParseIP(host).IsLoopback()
}

// parseStaticKey takes id:base64 of 32 bytes. Its errors do not quote it.
func parseStaticKey(s string) (secret.Value, error) {
	key, err := static.Open([]byte(s))
	if refused, ok := errors.AsType[*kms.Error](err); ok && refused.Err != nil {
		err = refused.Err
	}
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New([]byte(s)), key.Close()
}
