package s3api

import (
	"slices"
	"strings"
)

// domains are the host names below which a bucket can stand as in <bucket>.<domain>, longest first.
type domains []string

func newDomains(configured []string) domains {
	d := domains{"localhost"}
	for _, name := range configured {
		d = append(d, strings.ToLower(name))
	}
	slices.SortFunc(d, func(a, b string) int { return len(b) - len(a) })
	return d
}

// bucketOf gives the bucket in a Host header, which the signature covers. Forwarded hosts are never looked at.
func (d domains) bucketOf(host string) (string, bool) {
	host = hostName(host)
	for _, domain := range d {
		if host == domain {
			return "", false
		}
		if bucket, ok := strings.CutSuffix(host, "."+domain); ok && bucket != "" {
			return bucket, true
		}
	}
	return "", false
}

// hostName is a Host header without port and trailing dot, in lower case.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// looksVirtual says whether the client may have meant a bucket in a host name that this server does not know.
func (d domains) looksVirtual(host string) bool {
	host = hostName(host)
	if slices.Contains(d, host) || !strings.Contains(host, ".") || strings.HasPrefix(host, "[") {
		return false
	}
	return strings.Trim(host, "0123456789.") != "" // not an IPv4 address
}
