package s3api

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"coffer/object"
	"coffer/s3api/s3err"
)

// TestClientKeysAreWiped: the handler has the keys, and nobody has them after it, however it ends.
func TestClientKeysAreWiped(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("k"), 32)
	sum := md5.Sum(raw)
	for name, end := range map[string]func() error{
		"success": func() error { return nil },
		"error":   func() error { return errors.New("failed") },
		"panic":   func() error { panic("failed") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]string{}
			for _, prefix := range []string{sseCustomerPrefix, sseSourcePrefix} {
				fields[prefix+"algorithm"] = "AES256"
				fields[prefix+"key"] = base64.StdEncoding.EncodeToString(raw)
				fields[prefix+"key-md5"] = base64.StdEncoding.EncodeToString(sum[:])
			}
			var sealing, source object.Sealing
			c := &call{fields: fields, peer: netip.MustParseAddr("127.0.0.1"), bucket: "bucket", route: &route{body: true, sse: sseCustomer | sseSource,
				handle: func(_ *Server, _ context.Context, c *call) error {
					sealing, source = c.sealing, c.source
					if !bytes.Equal(sealing.Customer.Expose(), raw) || !bytes.Equal(source.Customer.Expose(), raw) {
						t.Error("the handler does not have the keys")
					}
					if c.has(sseCustomerPrefix+"key") || c.has(sseSourcePrefix+"key") || c.header != nil {
						t.Error("the text of the keys is kept")
					}
					return end()
				}}}
			func() {
				defer func() { _ = recover() }() // of the case that panics
				_ = (&Server{}).checkAndHandle(t.Context(), c)
			}()
			if sealing.Customer.Expose() != nil || source.Customer.Expose() != nil {
				t.Error("a key is left")
			}
		})
	}
}

// FuzzContext: a context that is taken is a JSON object of strings, and taken as it was sent or by its base64.
func FuzzContext(f *testing.F) {
	for _, v := range []string{`{"a":"1"}`, "e30=", "", "{", "bnVsbA==", `{"a":"\u0062"} `} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		got, err := parseContext(v)
		if err != nil {
			if s3err.CodeOf(err) != s3err.InvalidArgument {
				t.Fatal(err)
			}
			return
		}
		var entries map[string]string
		if json.Unmarshal(got, &entries) != nil || len(got) > object.MaxClientContext {
			t.Fatalf("%q became %q", v, got)
		}
		if decoded, _ := base64.StdEncoding.DecodeString(v); string(got) != v && !bytes.Equal(got, decoded) {
			t.Fatalf("%q became %q", v, got)
		}
	})
}

// FuzzKeyID: an id that is taken has no edge spaces, is text, and is the end of what was sent.
func FuzzKeyID(f *testing.F) {
	for _, v := range []string{"app", "arn:aws:kms:us-east-1:1:key/app", "arn:aws:kms:app", " app", "arn:aws:kms:a:key/key/x", ""} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		id, err := parseKeyID("name", v)
		if err != nil {
			return
		}
		if strings.TrimSpace(id) != id || !utf8.ValidString(id) || len(id) > maxKeyID || !strings.HasSuffix(v, id) || (id == "") != (v == "") {
			t.Fatalf("%q became %q", v, id)
		}
	})
}
