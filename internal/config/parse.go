package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"coffer/internal/secret"
)

// Bounds of what is accepted.
const (
	maxDrainTimeout   = time.Hour
	minMemoryLimit    = 64 << 20 // below it the process would do little but collect garbage
	minUserLength     = 3
	maxUserLength     = 128
	minPasswordLength = 8
	maxPasswordLength = 256
	maxSecretLength   = 4096
)

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// parseAddress takes HOST:PORT with a numeric port; an empty host means every
// address of the machine, port 0 one that the system chooses.
func parseAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not of the form HOST:PORT", s)
	}
	if strings.ContainsAny(host, " \t/") {
		return "", fmt.Errorf("%q is not a host", host)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q is not a port from 0 to 65535", port)
	}
	return s, nil
}

// parseAddressOrOff takes an address, or off, which is "".
func parseAddressOrOff(s string) (string, error) {
	if s == "off" {
		return "", nil
	}
	return parseAddress(s)
}

func parseRegion(s string) (string, error) {
	if s == "" || len(s) > 64 || !only(s, "-", lower, digit) {
		return "", fmt.Errorf("%q is not a region: 1 to 64 lower-case letters, digits and hyphens", s)
	}
	return s, nil
}

func parseDomains(list []string) ([]string, error) {
	var errs []error
	domains := make([]string, 0, len(list))
	for _, s := range list {
		s = strings.ToLower(strings.TrimSpace(s))
		if err := checkDomain(s); err != nil {
			errs = append(errs, err)
			continue
		}
		domains = append(domains, s)
	}
	return domains, errors.Join(errs...)
}

// parseNetworks takes addresses, and networks such as 10.0.0.0/8.
func parseNetworks(list []string) ([]netip.Prefix, error) {
	var errs []error
	networks := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		s = strings.TrimSpace(s)
		network, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); addrErr == nil && addr.Zone() == "" {
			network, err = addr.Unmap().Prefix(addr.Unmap().BitLen())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is neither an address nor a network, such as 10.0.0.7 or 10.0.0.0/8", s))
			continue
		}
		networks = append(networks, network)
	}
	return networks, errors.Join(errs...)
}

// checkDomain accepts the names of RFC 1123, without a port.
func checkDomain(s string) error {
	bad := fmt.Errorf("%q is not a domain name", s)
	if s == "" || len(s) > 253 || net.ParseIP(s) != nil { // no bucket can stand before an address
		return bad
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || !only(label, "-", lower, digit) ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return bad
		}
	}
	return nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > maxDrainTimeout {
		return 0, fmt.Errorf("%q is not a time over 0 and up to %s, such as 30s or 2m", s, maxDrainTimeout)
	}
	return d, nil
}

// parseSize takes a number of bytes with a unit (KiB, MiB, GiB, KB, MB, GB), or
// off, which is 0.
func parseSize(s string) (int64, error) {
	if s == "off" {
		return 0, nil
	}
	if n, err := parseBytes(s); err == nil && n >= minMemoryLimit {
		return n, nil
	}
	return 0, fmt.Errorf("%q is neither off nor a size of at least %d MiB, such as 224MiB or 1GiB", s, minMemoryLimit>>20)
}

// parseBytes takes a number with a unit.
func parseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		bytes := n * u.bytes
		if err != nil || !(bytes >= 0 && bytes < math.MaxInt64) {
			break
		}
		return int64(bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size", s)
}

// parseMiB takes a size and gives whole mebibytes of it.
func parseMiB(s string) (int, error) {
	n, err := parseSize(s)
	if err == nil && n == 0 {
		err = errors.New("cannot be off")
	}
	return int(n >> 20), err
}

func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
}

func parseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatAuto, FormatText, FormatJSON:
		return f, nil
	}
	return "", fmt.Errorf("%q is none of auto, text, json", s)
}

// parseUser takes an access key: what may stand in the Credential of an
// Authorization header without quoting.
func parseUser(s string) (string, error) {
	if len(s) < minUserLength || len(s) > maxUserLength || !only(s, "-_.@+", lower, upper, digit) {
		return "", fmt.Errorf("%q is not a user name: %d to %d letters, digits and -_.@+", s, minUserLength, maxUserLength)
	}
	return s, nil
}

// parsePassword takes a root password. Its errors do not quote it.
func parsePassword(s string) (secret.Value, error) {
	if len(s) < minPasswordLength || len(s) > maxPasswordLength {
		return secret.Value{}, fmt.Errorf("must have %d to %d characters, has %d", minPasswordLength, maxPasswordLength, len(s))
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			return secret.Value{}, errors.New("holds a character that is not printable ASCII")
		}
	}
	return secret.New([]byte(s)), nil
}

// parseSecret takes a passphrase or key. Its errors do not quote it.
func parseSecret(s string) (secret.Value, error) {
	if s == "" || len(s) > maxSecretLength {
		return secret.Value{}, fmt.Errorf("must have 1 to %d bytes, has %d", maxSecretLength, len(s))
	}
	return secret.New([]byte(s)), nil
}

func lower(b byte) bool { return 'a' <= b && b <= 'z' }
func upper(b byte) bool { return 'A' <= b && b <= 'Z' }
func digit(b byte) bool { return '0' <= b && b <= '9' }

// only reports whether every byte of s is in one of the classes or in more.
func only(s, more string, classes ...func(byte) bool) bool {
	for i := range len(s) {
		in := strings.IndexByte(more, s[i]) >= 0
		for _, class := range classes {
			in = in || class(s[i])
		}
		if !in {
			return false
		}
	}
	return true
}
