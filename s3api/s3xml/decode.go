package s3xml

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"coffer/s3api/s3err"
)

// readRequired reads a body that must have a document into d.
func readRequired[D any](r io.Reader, limit int64, name string, d *D, content func(*scanner) error) (*D, error) {
	empty, err := readDocument(r, limit, name, content)
	switch {
	case err != nil:
		return nil, err
	case empty:
		return nil, s3err.New(s3err.MissingRequestBodyError)
	}
	return d, nil
}

// readDocument reads a body of at most limit bytes and hands its root, which must
// be called name, to content. An empty body is reported as empty.
func readDocument(r io.Reader, limit int64, name string, content func(*scanner) error) (empty bool, err error) {
	src, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return false, err
	case int64(len(src)) > limit:
		return false, s3err.New(s3err.MaxMessageLengthExceeded).With("MaxMessageLengthBytes", strconv.FormatInt(limit, 10))
	case len(src) == 0:
		return true, nil
	case !utf8.Valid(src):
		return false, malformed((&scanner{}).malformed("not UTF-8"))
	}
	s := &scanner{src: src}
	if err := s.document(name, content); err != nil {
		return false, malformed(err)
	}
	return false, nil
}

// malformed makes a cause a MalformedXML error, unless it is an answer already.
func malformed(cause error) error {
	if e, ok := cause.(*s3err.Error); ok {
		return e
	}
	return s3err.Wrap(s3err.MalformedXML, cause)
}

// document reads declaration, root and what may stand around it.
func (s *scanner) document(name string, content func(*scanner) error) error {
	if err := s.skipDeclaration(); err != nil {
		return err
	}
	t, err := s.skipBlank()
	if err != nil {
		return err
	}
	if t.kind != tokenStart || t.name != name {
		return s.malformed("root is not %s", name)
	}
	if err := content(s); err != nil {
		return err
	}
	if t, err = s.skipBlank(); err != nil {
		return err
	}
	if t.kind != tokenEOF {
		return s.malformed("content after the root")
	}
	return nil
}

// skipBlank gives the next token that is not white space.
func (s *scanner) skipBlank() (token, error) {
	for {
		t, err := s.next()
		if err != nil || t.kind != tokenText {
			return t, err
		}
		if strings.Trim(t.text, " \t\r\n") != "" {
			return t, s.malformed("text between elements")
		}
	}
}

// children hands each child of the current element to each, which reads it to
// its end, and stops behind the end of the current element.
func (s *scanner) children(each func(name string) error) error {
	for {
		t, err := s.skipBlank()
		switch {
		case err != nil:
			return err
		case t.kind == tokenEnd:
			return nil
		case t.kind == tokenEOF:
			return s.malformed("element without end")
		}
		if err := each(t.name); err != nil {
			return err
		}
	}
}

// leaf reads the text of the current element, which has no children.
func (s *scanner) leaf() (string, error) {
	var text strings.Builder
	for {
		t, err := s.next()
		switch {
		case err != nil:
			return "", err
		case t.kind == tokenEnd:
			return text.String(), nil
		case t.kind != tokenText:
			return "", s.malformed("element inside text, or no end")
		}
		text.WriteString(t.text)
	}
}

// fields reads an element whose children are leaves, each at most once. into
// gives the place of a child, nil for one that the schema does not have.
func (s *scanner) fields(into func(name string) *string) error {
	seen := make(map[string]bool, 8)
	return s.children(func(name string) error {
		place := into(name)
		if place == nil || seen[name] {
			return s.malformed("unexpected element %s", name)
		}
		seen[name] = true
		text, err := s.leaf()
		*place = text
		return err
	})
}

// flag reads an xsd:boolean.
func (s *scanner) flag() (bool, error) {
	text, err := s.leaf()
	if err != nil {
		return false, err
	}
	switch strings.Trim(text, " \t\r\n") {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, s.malformed("not a boolean")
}

// integer reads an xsd:integer that fits 63 bits and is not negative.
func (s *scanner) integer(text string) (int64, error) {
	n, err := strconv.ParseUint(strings.Trim(text, " \t\r\n"), 10, 63)
	if err != nil {
		return 0, s.malformed("not a number")
	}
	return int64(n), nil
}
