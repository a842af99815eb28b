package sigv4

import (
	"slices"
	"strings"
)

// Param is one parameter of a query, decoded.
type Param struct {
	Name, Value string
	HasValue    bool // false for "?acl", true for "?acl="
}

// Query is the parameters of a request in the order received.
type Query []Param

// Get gives the first value of name. Names are case-sensitive, as in S3.
func (q Query) Get(name string) (string, bool) {
	for _, p := range q {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Has reports whether name is present, with or without a value.
func (q Query) Has(name string) bool {
	_, ok := q.Get(name)
	return ok
}

func (q Query) count(name string) int {
	n := 0
	for _, p := range q {
		if p.Name == name {
			n++
		}
	}
	return n
}

// ParseQuery splits at '&' and the first '=', and decodes both sides; '+' is a
// space. Empty pairs are skipped. A '%' that no two hex digits follow stands
// for itself, so that every query has exactly one reading.
func ParseQuery(raw string) Query {
	if raw == "" {
		return nil
	}
	q := make(Query, 0, strings.Count(raw, "&")+1)
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		name, value, has := strings.Cut(pair, "=")
		q = append(q, Param{Name: unescape(name, true), Value: unescape(value, true), HasValue: has})
	}
	return q
}

// UnescapePath decodes a path once. It does not normalise: "..", "//" and a
// decoded "%2F" stay what they are. It reports false when a '%' is not followed
// by two hex digits.
func UnescapePath(raw string) (string, bool) {
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", false
			}
			i += 2
		}
	}
	return unescape(raw, false), true
}

func unescape(s string, plusIsSpace bool) string {
	i := strings.IndexByte(s, '%')
	if i < 0 && (!plusIsSpace || strings.IndexByte(s, '+') < 0) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c == '+' && plusIsSpace:
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// appendEscaped is AWS's UriEncode: everything but A-Z a-z 0-9 - . _ ~ becomes
// %XX in upper case; '/' is kept when keepSlash is set.
func appendEscaped(dst []byte, s string, keepSlash bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && keepSlash:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// appendCanonicalQuery writes the query re-encoded and sorted by name, then
// value, both in their encoded form. The parameter called except is left out.
func appendCanonicalQuery(dst []byte, q Query, except string) []byte {
	type pair struct{ name, value string }
	pairs := make([]pair, 0, len(q))
	var buf []byte
	escape := func(s string) string {
		buf = appendEscaped(buf[:0], s, false)
		if string(buf) == s { // common, and saves the copy
			return s
		}
		return string(buf)
	}
	for _, p := range q {
		if p.Name != except {
			pairs = append(pairs, pair{escape(p.Name), escape(p.Value)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst
}

// appendTrimmed writes a header value without blanks around it and with every
// inner run of blanks as one space.
func appendTrimmed(dst []byte, v string) []byte {
	blank, first := false, true
	for i := 0; i < len(v); i++ {
		if v[i] == ' ' || v[i] == '\t' {
			blank = true
			continue
		}
		if blank && !first {
			dst = append(dst, ' ')
		}
		blank, first = false, false
		dst = append(dst, v[i])
	}
	return dst
}
