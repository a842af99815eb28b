package sigv4_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// FuzzBegin feeds hostile requests. No input may panic, verify without the key,
// or give an error outside the vocabulary of the package.
func FuzzBegin(f *testing.F) {
	seed := func(r *sigv4.Request) {
		auth, _ := r.Header.Get("Authorization")
		date, _ := r.Header.Get("X-Amz-Date")
		hash, _ := r.Header.Get("X-Amz-Content-Sha256")
		f.Add(r.RawPath, r.RawQuery, auth, date, hash)
	}
	seed(base().sign(f))
	seed(base().presign(f, time.Hour))
	absent := base()
	absent.header = nil
	absent.payload = emptySHA256
	seed(absent.sign(f))
	f.Add("/%", "a=%&&=;+", "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature==", "x", "STREAMING-")
	f.Fuzz(func(t *testing.T, path, query, auth, date, hash string) {
		r := &sigv4.Request{Method: "PUT", RawPath: path, RawQuery: query, Host: host}
		for _, h := range []sigv4.Field{{Name: "Authorization", Value: auth}, {Name: "X-Amz-Date", Value: date}, {Name: "X-Amz-Content-Sha256", Value: hash}} {
			if h.Value != "" {
				r.Header = append(r.Header, h)
			}
		}
		// The secret is one that no seed was signed with.
		v := sigv4.New(func(string) (sigv4.Secret, bool) { return sigv4.NewSecret("other"), true }, sigv4.Options{Now: now})
		ver, err := v.Begin(r)
		if err != nil {
			var e *s3err.Error
			if !errors.As(err, &e) || !e.Code.Known() || e.Code == s3err.InternalError {
				t.Fatalf("Begin: %v", err)
			}
			return
		}
		if ver.Proven() {
			t.Fatal("proven without the key")
		}
		if err := ver.Finish(sha256.Sum256(nil)); err == nil {
			t.Fatal("finished without the key")
		}
	})
}

// FuzzQuery holds the decoder to its promise: every query has one reading, and
// writing that reading canonically and reading it again changes nothing.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a=b&c", "a=%2F+%zz&&=&%", "%E4%", "a=b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := sigv4.ParseQuery(raw)
		again := ""
		for _, p := range q {
			again += "&" + escape(p.Name, false)
			if p.HasValue {
				again += "=" + escape(p.Value, false)
			}
		}
		q2 := sigv4.ParseQuery(again)
		want := 0
		for _, p := range q {
			if p.Name != "" || p.HasValue {
				want++
			}
		}
		if len(q2) != want || want != len(q) {
			t.Fatalf("%q reads as %v, then as %v", raw, q, q2)
		}
		for i := range q {
			if q[i] != q2[i] {
				t.Fatalf("%q reads as %v, then as %v", raw, q, q2)
			}
		}
		if path, ok := sigv4.UnescapePath(raw); ok {
			if back, ok := sigv4.UnescapePath(escape(path, true)); !ok || back != path {
				t.Fatalf("path %q reads as %q, then as %q", raw, path, back)
			}
		}
	})
}
