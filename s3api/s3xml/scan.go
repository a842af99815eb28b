package s3xml

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner walks the elements of a document in memory. Names are given without
// their namespace prefix; attributes are checked for form and dropped.
//
// The callers descend by their schema and refuse every element it does not have,
// so nesting is bounded by the schema.
type scanner struct {
	src    []byte
	pos    int
	open   []string // names of the open elements, as written
	closed bool     // the last start tag was <name/>: its end is still to come
}

// token is what next finds: the start of an element (name set), the end of the
// innermost one, a run of text, or the end of the document.
type token struct {
	kind tokenKind
	name string
	text string
}

type tokenKind uint8

const (
	tokenEOF tokenKind = iota
	tokenStart
	tokenEnd
	tokenText
)

// malformed describes what is wrong and where; it is the cause inside a
// MalformedXML error.
func (s *scanner) malformed(format string, args ...any) error {
	return fmt.Errorf("offset %d: "+format, append([]any{s.pos}, args...)...)
}

func (s *scanner) next() (token, error) {
	if s.closed {
		s.closed = false
		s.open = s.open[:len(s.open)-1]
		return token{kind: tokenEnd}, nil
	}
	for {
		rest := s.src[s.pos:]
		switch {
		case len(rest) == 0:
			return token{kind: tokenEOF}, nil
		case rest[0] != '<':
			return s.scanText()
		case bytes.HasPrefix(rest, []byte("<!--")):
			if err := s.skipComment(); err != nil {
				return token{}, err
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			return s.scanCDATA()
		case bytes.HasPrefix(rest, []byte("<!")), bytes.HasPrefix(rest, []byte("<?")):
			return token{}, s.malformed("DOCTYPE and processing instructions are refused")
		case bytes.HasPrefix(rest, []byte("</")):
			return s.scanEnd()
		default:
			return s.scanStart()
		}
	}
}

// skipDeclaration skips a byte order mark and <?xml …?>.
func (s *scanner) skipDeclaration() error {
	s.src = bytes.TrimPrefix(s.src, []byte("\xEF\xBB\xBF"))
	rest, ok := bytes.CutPrefix(s.src, []byte("<?xml"))
	if !ok {
		return nil
	}
	end := bytes.Index(rest, []byte("?>"))
	if end < 0 || !isSpace(rest[0]) {
		return s.malformed("bad XML declaration")
	}
	decl := strings.ToLower(string(rest[:end]))
	if _, enc, ok := strings.Cut(decl, "encoding"); ok {
		enc = strings.TrimLeft(enc, " \t\r\n=")
		if !strings.HasPrefix(enc, `"utf-8"`) && !strings.HasPrefix(enc, `'utf-8'`) {
			return s.malformed("encoding is not UTF-8")
		}
	}
	s.pos = len("<?xml") + end + len("?>")
	return nil
}

func (s *scanner) skipComment() error {
	body := s.src[s.pos+len("<!--"):]
	end := bytes.Index(body, []byte("--"))
	if end < 0 || end+2 >= len(body) || body[end+2] != '>' {
		return s.malformed("bad comment")
	}
	s.pos += len("<!--") + end + len("-->")
	return nil
}

func (s *scanner) scanCDATA() (token, error) {
	body := s.src[s.pos+len("<![CDATA["):]
	end := bytes.Index(body, []byte("]]>"))
	if end < 0 {
		return token{}, s.malformed("CDATA without end")
	}
	s.pos += len("<![CDATA[") + end + len("]]>")
	return token{kind: tokenText, text: string(body[:end])}, nil
}

func (s *scanner) scanEnd() (token, error) {
	s.pos += len("</")
	name, err := s.scanName()
	if err != nil {
		return token{}, err
	}
	s.skipSpace()
	if len(s.open) == 0 || s.open[len(s.open)-1] != name || !s.take('>') {
		return token{}, s.malformed("end tag %q does not match", name)
	}
	s.open = s.open[:len(s.open)-1]
	return token{kind: tokenEnd}, nil
}

func (s *scanner) scanStart() (token, error) {
	s.pos++
	name, err := s.scanName()
	if err != nil {
		return token{}, err
	}
	for {
		spaced := s.skipSpace()
		switch {
		case s.take('>'):
		case s.take('/'):
			if !s.take('>') {
				return token{}, s.malformed("bad empty-element tag")
			}
			s.closed = true
		case spaced:
			if err := s.skipAttribute(); err != nil {
				return token{}, err
			}
			continue
		default:
			return token{}, s.malformed("bad start tag")
		}
		s.open = append(s.open, name)
		return token{kind: tokenStart, name: localName(name)}, nil
	}
}

func (s *scanner) skipAttribute() error {
	if _, err := s.scanName(); err != nil {
		return err
	}
	s.skipSpace()
	if !s.take('=') {
		return s.malformed("attribute without value")
	}
	s.skipSpace()
	if s.pos >= len(s.src) || s.src[s.pos] != '"' && s.src[s.pos] != '\'' {
		return s.malformed("attribute value without quotes")
	}
	body := s.src[s.pos+1:]
	end := bytes.IndexByte(body, s.src[s.pos])
	if end < 0 || bytes.IndexByte(body[:end], '<') >= 0 {
		return s.malformed("bad attribute value")
	}
	if _, err := s.unescape(body[:end]); err != nil {
		return err
	}
	s.pos += end + 2
	return nil
}

// scanName reads a name of ASCII letters, digits and "_-.:". All names of the
// schemas are such; others could only be refused later.
func (s *scanner) scanName() (string, error) {
	start := s.pos
	for s.pos < len(s.src) && isNameByte(s.src[s.pos], s.pos == start) {
		s.pos++
	}
	name := s.src[start:s.pos]
	if len(name) == 0 || len(name) > maxName {
		return "", s.malformed("no name, or too long a name")
	}
	if _, local, ok := bytes.Cut(name, []byte(":")); ok && !isLocalName(local) || name[0] == ':' {
		return "", s.malformed("bad namespace prefix")
	}
	return string(name), nil
}

const maxName = 128 // bytes

// isLocalName reports whether the part behind a prefix is a name by itself.
func isLocalName(local []byte) bool {
	return len(local) > 0 && isNameByte(local[0], true) && bytes.IndexByte(local, ':') < 0
}

func isNameByte(c byte, first bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' ||
		!first && ('0' <= c && c <= '9' || c == '-' || c == '.')
}

func localName(name string) string {
	return name[strings.LastIndexByte(name, ':')+1:]
}

func (s *scanner) scanText() (token, error) {
	end := bytes.IndexByte(s.src[s.pos:], '<')
	if end < 0 {
		end = len(s.src) - s.pos
	}
	raw := s.src[s.pos : s.pos+end]
	if bytes.Contains(raw, []byte("]]>")) {
		return token{}, s.malformed("]]> in text")
	}
	text, err := s.unescape(raw)
	if err != nil {
		return token{}, err
	}
	s.pos += end
	return token{kind: tokenText, text: text}, nil
}

// unescape resolves character references and the five entities of XML. CR and
// CR LF stay what they are.
func (s *scanner) unescape(raw []byte) (string, error) {
	if bytes.IndexByte(raw, '&') < 0 {
		return string(raw), nil
	}
	var b strings.Builder
	for len(raw) > 0 {
		amp := bytes.IndexByte(raw, '&')
		if amp < 0 {
			amp = len(raw)
		}
		b.Write(raw[:amp])
		if raw = raw[amp:]; len(raw) == 0 {
			break
		}
		semicolon := bytes.IndexByte(raw[:min(len(raw), maxReference)], ';')
		if semicolon < 0 {
			return "", s.malformed("reference without ';'")
		}
		r, ok := resolve(string(raw[1:semicolon]))
		if !ok {
			return "", s.malformed("unknown reference")
		}
		b.WriteRune(r)
		raw = raw[semicolon+1:]
	}
	return b.String(), nil
}

const maxReference = 16 // bytes of "&…;"

// resolve gives the character of a reference. Control characters are allowed,
// other than in XML 1.0: keys may hold them.
func resolve(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, false
	}
	return rune(n), true
}

func (s *scanner) skipSpace() bool {
	start := s.pos
	for s.pos < len(s.src) && isSpace(s.src[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
