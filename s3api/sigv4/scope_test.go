package sigv4_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		offset    time.Duration // of signing from now
		presigned time.Duration
		want      s3err.Code
		text      string
	}{
		{name: "just signed"},
		{name: "15 minutes ago", offset: -15 * time.Minute},
		{name: "15 minutes ahead", offset: 15 * time.Minute},
		{name: "longer ago", offset: -15*time.Minute - time.Second, want: s3err.RequestTimeTooSkewed},
		{name: "further ahead", offset: 15*time.Minute + time.Second, want: s3err.RequestTimeTooSkewed},
		{name: "presigned, last second", offset: -time.Hour, presigned: time.Hour},
		{name: "presigned, expired", offset: -time.Hour - time.Second, presigned: time.Hour, want: s3err.AccessDenied, text: "Request has expired"},
		{name: "presigned, a week", offset: -6 * 24 * time.Hour, presigned: 7 * 24 * time.Hour},
		{name: "presigned, skewed", offset: 15 * time.Minute, presigned: time.Second},
		{name: "presigned, too early", offset: 15*time.Minute + time.Second, presigned: time.Hour, want: s3err.AccessDenied, text: "not valid yet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := base()
			p.time = now().Add(tt.offset)
			r := p.sign(t)
			if tt.presigned > 0 {
				r = p.presign(t, tt.presigned)
			}
			_, err := verifier().Begin(r)
			if s3err.CodeOf(err) != tt.want || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Begin: %v, want %q with %q", err, tt.want, tt.text)
			}
		})
	}
}

func TestDateHeader(t *testing.T) {
	t.Parallel()
	date := func(values ...string) func(*sigv4.Request) {
		return func(r *sigv4.Request) {
			r.Header = dropField(r.Header, "X-Amz-Date")
			edit(";x-amz-date", "")(r)
			for _, v := range values {
				r.Header = append(r.Header, sigv4.Field{Name: "Date", Value: v})
			}
		}
	}
	amz := func(values ...string) func(*sigv4.Request) {
		return func(r *sigv4.Request) {
			r.Header = dropField(r.Header, "X-Amz-Date")
			for _, v := range values {
				r.Header = append(r.Header, sigv4.Field{Name: "X-Amz-Date", Value: v})
			}
		}
	}
	const text = "valid Date or x-amz-date header"
	tests := []mutation{
		{"none", date(), s3err.AccessDenied, text},
		{"Date of RFC 1123", date("Sun, 01 Mar 2026 12:00:00 GMT"), s3err.SignatureDoesNotMatch, ""},
		{"Date of ISO 8601", date("20260301T120000Z"), s3err.SignatureDoesNotMatch, ""},
		{"Date of neither", date("2026-03-01T12:00:00Z"), s3err.AccessDenied, text},
		{"Date twice", date("20260301T120000Z", "20260301T120000Z"), s3err.AccessDenied, text},
		{"x-amz-date twice", amz("20260301T120000Z", "20260301T120000Z"), s3err.AccessDenied, text},
		{"x-amz-date malformed", amz("20260301T120000"), s3err.AccessDenied, text},
		{"x-amz-date beats Date", addField("Date", "nonsense"), "", ""},
	}
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return base().sign(t) })
}

func TestRegions(t *testing.T) {
	t.Parallel()
	lookup := func(string) (sigv4.Secret, bool) { return sigv4.NewSecret(secretKey), true }
	tests := []struct {
		name, region string
		signed       string
		empty, any   bool
		ok           bool
	}{
		{name: "the same", region: "r", signed: "r", ok: true},
		{name: "another", region: "r", signed: "q"},
		{name: "another where any is allowed", region: "r", signed: "q", any: true, ok: true},
		{name: "none configured", signed: "q", ok: true},
		{name: "empty", region: "r", signed: ""},
		{name: "empty where allowed", region: "r", signed: "", empty: true, ok: true},
		{name: "another where empty is allowed", region: "r", signed: "q", empty: true},
		{name: "empty where any is allowed", region: "r", signed: "", any: true},
		{name: "empty, none configured", signed: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := base()
			hr := p.http(t)
			if err := signer().SignHTTP(t.Context(), credentials(), hr, p.payload, "s3", tt.signed, p.time); err != nil {
				t.Fatal(err)
			}
			r := p.wire(hr.URL.RawQuery, hr.Header)
			r.EmptyRegion, r.AnyRegion = tt.empty, tt.any
			_, err := sigv4.New(lookup, sigv4.Options{Region: tt.region, Now: now}).Begin(r)
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, s3err.AuthorizationHeaderMalformed) {
				t.Errorf("Begin: %v, want ok %v", err, tt.ok)
			}
		})
	}
}
