package s3xml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

var seeds = []string{ // read only
	"<Delete><Object><Key>a&amp;&#x1;b</Key><VersionId/></Object><Quiet>true</Quiet></Delete>",
	`<?xml version="1.0" encoding="UTF-8"?><a:Delete xmlns:a='u' b = "&lt;"><!-- c --><![CDATA[x]]></a:Delete>`,
	"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part></CompleteMultipartUpload>",
	"<CreateBucketConfiguration><LocationConstraint>r</LocationConstraint></CreateBucketConfiguration>",
	"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
	"<!DOCTYPE a [<!ENTITY x '&x;'>]><a>&x;</a>", "<a>\r\n\r</a>", "<a></b>",
}

// trace is what Walk lists, found by encoding/xml.
func trace(src []byte) ([]string, error) {
	var found []string
	d := xml.NewDecoder(bytes.NewReader(src))
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			found = append(found, "<"+t.Name.Local)
		case xml.EndElement:
			found = append(found, ">")
		case xml.CharData:
			found = s3xml.AppendText(found, string(t))
		case xml.ProcInst, xml.Directive:
			return nil, errors.New("refused here")
		}
	}
}

// xml10 reports whether all characters are those of XML 1.0.
func xml10(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	}) < 0
}

// tame leaves out what this package refuses and encoding/xml does not: names that
// are not of ASCII, of more than one prefix or very long, and references of many
// digits or to no character.
func tame(src []byte) bool {
	foreign := func(r rune) bool { return r >= utf8.RuneSelf || r == ':' }
	return len(src) < 100 && bytes.IndexFunc(src, foreign) < 0 && !bytes.Contains(src, []byte("&#")) && !bytes.HasPrefix(src, []byte("<?"))
}

// FuzzScanner holds the scanner against encoding/xml: what it accepts, the other
// accepts and reads alike, CR and the characters aside that XML 1.0 cannot carry; and
// what it refuses the other refuses too, where the two mean to agree.
func FuzzScanner(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if !utf8.Valid(src) || !xml10(string(src)) || bytes.IndexByte(src, '\r') >= 0 {
			return
		}
		got, rest, err := s3xml.Walk(src)
		if err != nil {
			if _, err2 := trace(src); err2 == nil && tame(src) {
				t.Fatalf("%q is refused: %v", src, err)
			}
			return
		}
		if !xml10(strings.Join(got, "")) {
			return
		}
		want, err := trace(rest)
		if err != nil && bytes.ContainsRune(rest, '=') && bytes.Contains(rest, []byte("&#")) {
			return // perhaps such a character in an attribute, which Walk does not list
		}
		if err != nil {
			t.Fatalf("%q is accepted; encoding/xml: %v", src, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q (-encoding/xml +here):\n%s", src, diff)
		}
	})
}

// FuzzRead feeds hostile request documents. Errors are of the vocabulary, and
// what is accepted keeps to the limits.
func FuzzRead(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		check := func(err error) {
			var e *s3err.Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("%q: %v", in, err)
			}
		}
		d, err := s3xml.ReadDelete(strings.NewReader(in))
		check(err)
		if err == nil {
			if len(d.Objects) == 0 || len(d.Objects) > s3xml.MaxDeleteObjects {
				t.Fatalf("%q: %d objects", in, len(d.Objects))
			}
			for _, o := range d.Objects {
				if o.Key == "" || !utf8.ValidString(o.Key) {
					t.Fatalf("%q: key %q", in, o.Key)
				}
			}
		}
		c, err := s3xml.ReadCompleteMultipartUpload(strings.NewReader(in))
		check(err)
		if err == nil && (len(c.Parts) == 0 || len(c.Parts) > s3xml.MaxParts) {
			t.Fatalf("%q: %d parts", in, len(c.Parts))
		}
		_, err = s3xml.ReadCreateBucketConfiguration(strings.NewReader(in))
		check(err)
		e, err := s3xml.ReadServerSideEncryptionConfiguration(strings.NewReader(in))
		check(err)
		if err == nil && len(e.Rule.BlockedEncryptionTypes) > 1 {
			t.Fatalf("%q: %d blocked types", in, len(e.Rule.BlockedEncryptionTypes))
		}
	})
}

// FuzzKey carries a key through an answer and back: written as text it is read as
// it was, whatever characters it holds.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"a", "\x00\x01\r\n\t ", "<&>]]>\"'", "ä\uFFFE\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if !utf8.ValidString(key) || key == "" || len(key) > 1024 {
			return
		}
		doc := string((&s3xml.DeleteResult{Deleted: []s3xml.Deleted{{Key: key}}}).AppendXML(nil))
		doc = strings.NewReplacer("DeleteResult", "Delete", "Deleted", "Object").Replace(doc[:strings.Index(doc, "<Key>")]) +
			doc[strings.Index(doc, "<Key>"):strings.LastIndex(doc, "</Key>")] + "</Key></Object></Delete>"
		d, err := s3xml.ReadDelete(strings.NewReader(doc))
		if err != nil || d.Objects[0].Key != key {
			t.Fatalf("%q: %v, %v", key, d, err)
		}
	})
}
