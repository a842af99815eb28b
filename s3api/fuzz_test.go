package s3api

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"coffer/object"
)

// FuzzRange: a range that is taken says the same when it is written out again, and no number in it is out of order.
func FuzzRange(f *testing.F) {
	for _, v := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=0-1,2-3", "bytes=99999999999999999999-", "bytes=--1", "items=0-1", ""} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		r := parseRange(v)
		if r == nil {
			return
		}
		if r.First < -1 || r.Last < -1 || r.First == -1 && r.Last == -1 || r.First >= 0 && r.Last >= 0 && r.Last < r.First {
			t.Fatalf("%q became %+v", v, r)
		}
		text := "bytes="
		if r.First >= 0 {
			text += fmt.Sprint(r.First)
		}
		text += "-"
		if r.Last >= 0 {
			text += fmt.Sprint(r.Last)
		}
		if again := parseRange(text); again == nil || *again != *r {
			t.Fatalf("%q became %+v, and %q %+v", v, r, text, again)
		}
		if c, err := parseCopyRange(v); err == nil && (c == nil || *c != *r) {
			t.Fatalf("as a copy range %+v", c)
		}
	})
}

// FuzzCopySource: what is taken names a bucket without a slash and a key that is text.
func FuzzCopySource(f *testing.F) {
	for _, v := range []string{"bucket/key", "/bucket/a%2Fb", "b/k?versionId=null", "b/%ff", "b/k?x", "//", "arn:aws:s3:::b/k"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		src, err := parseCopySource(v)
		if err != nil {
			return
		}
		if src.bucket == "" || strings.Contains(src.bucket, "/") || src.key == "" || !utf8.ValidString(src.key) {
			t.Fatalf("%q became %+v", v, src)
		}
	})
}

// FuzzTarget: whatever the request line and the host, the kind fits what was found, and a key is never cut.
func FuzzTarget(f *testing.F) {
	for _, v := range []string{"/", "/b/k", "//k", "/b//", "/b/%2e%2e/k?x=1&y", "http://host/b/k", "*", "/b%2Fk", "?", "/b/k?X-Amz-Signature=0&x-amz-meta-a=b"} {
		f.Add(v, "host")
		f.Add(v, "bucket.localhost:9000")
	}
	d := newDomains([]string{"s3.example.com"})
	f.Fuzz(func(t *testing.T, target, host string) {
		c := &call{host: host, fields: map[string]string{}, body: &requestBody{}, method: "GET"}
		if err := c.parseTarget(target, d); err != nil {
			return
		}
		switch {
		case c.kind == service && (c.bucket != "" || c.key != ""), c.kind == bucketKind && (c.bucket == "" || c.key != ""),
			c.kind == objectKind && (c.bucket == "" || c.key == ""), !utf8.ValidString(c.key):
			t.Fatalf("%q on %q: kind %d, bucket %q, key %q", target, host, c.kind, c.bucket, c.key)
		}
		if findRoute(c) == nil {
			t.Fatal("no route")
		}
	})
}

// FuzzToken: a token that is taken is the one that its position would get.
func FuzzToken(f *testing.F) {
	f.Add(formatToken(object.ListPosition{Key: "a/", Folded: true}))
	f.Add(formatToken(object.ListPosition{Key: "key"}))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseToken(token)
		if err != nil {
			return
		}
		if again, err := parseToken(formatToken(p)); err != nil || again != p {
			t.Fatalf("%q: %+v, then %+v %v", token, p, again, err)
		}
	})
}
