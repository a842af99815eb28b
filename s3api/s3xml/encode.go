package s3xml

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Document is an answer.
type Document interface {
	// AppendXML appends the document to dst and returns the longer slice.
	AppendXML(dst []byte) []byte
}

const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	namespace   = "http://s3.amazonaws.com/doc/2006-03-01/"

	// TimeFormat is the form of times in documents: UTC with milliseconds.
	TimeFormat = "2006-01-02T15:04:05.000Z"

	// EncodingURL is the one value of encoding-type.
	EncodingURL = "url"
)

// encoder appends elements. Names are constants of this package and are not
// escaped; values are.
type encoder struct {
	b   []byte
	url bool // keys are percent-encoded
}

// root starts a document in the S3 namespace.
func root(dst []byte, name string) encoder {
	e := encoder{b: append(dst, declaration...)}
	e.b = append(append(e.b, '<'), name...)
	e.b = append(e.b, ` xmlns="`+namespace+`">`...)
	return e
}

func (e *encoder) open(name string) {
	e.b = append(append(append(e.b, '<'), name...), '>')
}

func (e *encoder) end(name string) {
	e.b = append(append(append(e.b, '<', '/'), name...), '>')
}

// text writes an element even when its value is empty.
func (e *encoder) text(name, value string) {
	e.open(name)
	e.b = appendText(e.b, value)
	e.end(name)
}

// optional writes an element unless its value is empty.
func (e *encoder) optional(name, value string) {
	if value != "" {
		e.text(name, value)
	}
}

// key writes a key, prefix, delimiter or marker: percent-encoded when the
// document's encoding type is url.
func (e *encoder) key(name, value string) {
	e.open(name)
	if e.url {
		e.b = appendURL(e.b, value)
	} else {
		e.b = appendText(e.b, value)
	}
	e.end(name)
}

func (e *encoder) optionalKey(name, value string) {
	if value != "" {
		e.key(name, value)
	}
}

func (e *encoder) int(name string, value int64) {
	e.open(name)
	e.b = strconv.AppendInt(e.b, value, 10)
	e.end(name)
}

func (e *encoder) bool(name string, value bool) {
	e.open(name)
	e.b = strconv.AppendBool(e.b, value)
	e.end(name)
}

// time writes a time unless it is zero.
func (e *encoder) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	e.open(name)
	e.b = t.UTC().AppendFormat(e.b, TimeFormat)
	e.end(name)
}

const hexDigits = "0123456789abcdef"

// appendText escapes a value for the text of an element. Bytes that are not
// UTF-8 become U+FFFD; no key holds any.
func appendText(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		size, escape := 1, ""
		switch {
		case c == '&':
			escape = "&amp;"
		case c == '<':
			escape = "&lt;"
		case c == '>':
			escape = "&gt;"
		case c == '"':
			escape = "&quot;"
		case c == '\'':
			escape = "&apos;"
		case c < ' ':
			escape = charReference(c)
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				escape = "\uFFFD"
			case r == 0xFFFE:
				escape = "&#xfffe;"
			case r == 0xFFFF:
				escape = "&#xffff;"
			}
		}
		if escape != "" {
			dst = append(append(dst, s[start:i]...), escape...)
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

func charReference(c byte) string {
	if c < 0x10 {
		return "&#x" + hexDigits[c:c+1] + ";"
	}
	return "&#x" + hexDigits[c>>4:c>>4+1] + hexDigits[c&15:c&15+1] + ";"
}

// appendURL percent-encodes everything but unreserved characters (RFC 3986, 2.3)
// and '/'.
func appendURL(dst []byte, s string) []byte {
	const upper = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upper[c>>4], upper[c&15])
		}
	}
	return dst
}
