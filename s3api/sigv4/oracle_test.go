package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

const (
	accessKey = "AKTEST"
	secretKey = "s3cr+t/key"
	region    = "eu-west-1"
	host      = "bucket.localhost:9000"
)

// now is the time of the server; the requests of the tests are signed around it.
func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func verifier() *sigv4.Verifier {
	lookup := func(key string) (sigv4.Secret, bool) { return sigv4.NewSecret(secretKey), key == accessKey }
	return sigv4.New(lookup, sigv4.Options{Region: region, Now: now})
}

// escape is the encoding that the signer signs: the S3 form of a key.
func escape(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '/' && keepSlash {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// plain is a request before it is signed.
type plain struct {
	method  string
	path    string // decoded
	query   []sigv4.Param
	header  sigv4.Header
	payload string // of the canonical request
	time    time.Time
}

func (p plain) http(t fataler) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), p.method, "http://"+host, nil)
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	r.URL.Opaque = "//" + host + escape(p.path, true)
	var pairs []string
	for _, q := range p.query {
		pairs = append(pairs, escape(q.Name, false)+"="+escape(q.Value, false))
	}
	r.URL.RawQuery = strings.Join(pairs, "&")
	for _, f := range p.header {
		r.Header.Add(f.Name, f.Value)
	}
	return r
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func signer() *awsv4.Signer {
	return awsv4.NewSigner(func(o *awsv4.SignerOptions) { o.DisableURIPathEscaping = true })
}

func credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
}

// sign signs with the SDK and gives the request as it goes over the wire.
func (p plain) sign(t fataler) *sigv4.Request {
	t.Helper()
	r := p.http(t)
	if err := signer().SignHTTP(context.Background(), credentials(), r, p.payload, "s3", region, p.time); err != nil {
		t.Fatalf("sign: %v", err)
	}
	return p.wire(r.URL.RawQuery, r.Header)
}

// presign is sign for a presigned URL.
func (p plain) presign(t fataler, expires time.Duration) *sigv4.Request {
	t.Helper()
	p.query = append(slices.Clone(p.query), sigv4.Param{Name: "X-Amz-Expires", Value: strconv.Itoa(int(expires.Seconds()))})
	uri, header, err := signer().PresignHTTP(context.Background(), credentials(), p.http(t), p.payload, "s3", region, p.time)
	if err != nil {
		t.Fatalf("presign: %v", err)
	}
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatalf("presigned URL: %v", err)
	}
	return p.wire(u.RawQuery, header)
}

func (p plain) wire(rawQuery string, header http.Header) *sigv4.Request {
	r := &sigv4.Request{Method: p.method, RawPath: escape(p.path, true), RawQuery: rawQuery, Host: host}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[name] {
			r.Header = append(r.Header, sigv4.Field{Name: name, Value: v})
		}
	}
	return r
}

// anyPlain draws a request with any key, query and headers.
func anyPlain(t *rapid.T) plain {
	segment := rapid.SampledFrom([]string{"", ".", "..", "a", "a b", "ä€🦊", "%", "%2F", "+", "*'()!", "&=;?#", "\x01\n", "~", "-_."})
	p := plain{
		method:  rapid.SampledFrom([]string{"GET", "PUT", "HEAD", "POST", "DELETE"}).Draw(t, "method"),
		path:    "/" + strings.Join(rapid.SliceOfN(segment, 0, 6).Draw(t, "segments"), "/"),
		payload: "UNSIGNED-PAYLOAD",
		time:    now().Add(time.Duration(rapid.IntRange(-14*60, 14*60).Draw(t, "skew")) * time.Second),
	}
	text := rapid.StringOfN(rapid.RuneFrom([]rune("abcXYZ019-_.~ +%/&=;ä€🦊*\"'")), 0, 8, -1)
	for _, name := range rapid.SliceOfN(text, 0, 5).Draw(t, "names") {
		if name != "" {
			p.query = append(p.query, sigv4.Param{Name: name, Value: text.Draw(t, "value")})
		}
	}
	value := rapid.StringOfN(rapid.RuneFrom([]rune("abc  ,;=/\"ä€")), 0, 12, -1)
	names := []string{"X-Amz-Meta-A", "x-amz-meta-a", "X-Amz-Acl", "Content-Type", "Range", "X-Amz-Meta-Zz", "Content-Md5"}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "headers") {
		p.header = append(p.header, sigv4.Field{Name: name, Value: value.Draw(t, "header value")})
	}
	return p
}

// reencode writes the same path or value in another of its spellings: more
// characters escaped than needed, and hex digits in lower case.
func reencode(t *rapid.T, s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '%' && rapid.Bool().Draw(t, "lower"):
			b.WriteString(strings.ToLower(s[i : i+3]))
			i += 2
		case s[i] == '%':
			b.WriteString(s[i : i+3])
			i += 2
		case s[i] != '/' && rapid.IntRange(0, 4).Draw(t, "over") == 0:
			b.WriteString("%" + hex.EncodeToString([]byte{s[i]}))
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// unescapeSome sends characters of a path raw that need not be escaped.
func unescapeSome(t *rapid.T, path string) string {
	for _, c := range []string{"+", "*", "'", "(", "!", "&", "=", ";", "ä", "€"} {
		if rapid.Bool().Draw(t, "raw") {
			path = strings.ReplaceAll(path, escape(c, false), c)
		}
	}
	return path
}

// respell changes how a query is written without changing what it says.
func respell(t *rapid.T, rawQuery string) string {
	if rawQuery == "" {
		return ""
	}
	pairs := rapid.Permutation(strings.Split(rawQuery, "&")).Draw(t, "order")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		pair = reencode(t, name) + "=" + reencode(t, value)
		if rapid.Bool().Draw(t, "plus") {
			pair = strings.ReplaceAll(pair, "%20", "+")
		}
		pairs[i] = pair
	}
	return strings.Join(pairs, "&")
}

func TestSignedHeadersAgreeWithSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlain(t)
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		sum := sha256.Sum256(body)
		switch declared := rapid.IntRange(0, 2).Draw(t, "payload"); declared {
		case 0: // no x-amz-content-sha256: the signature covers the body
			p.payload = hex.EncodeToString(sum[:])
		case 1:
			p.payload = hex.EncodeToString(sum[:])
			fallthrough
		default:
			p.header = append(p.header, sigv4.Field{Name: "X-Amz-Content-Sha256", Value: p.payload})
		}
		r := p.sign(t)
		r.RawPath = unescapeSome(t, reencode(t, r.RawPath))
		r.RawQuery = respell(t, r.RawQuery)
		ver, err := verifier().Begin(r)
		if err != nil {
			t.Fatalf("Begin: %v", err)
		}
		if err := ver.Finish(sum); err != nil {
			t.Fatalf("Finish: %v", err)
		}
		if !ver.Proven() {
			t.Fatalf("not proven")
		}
	})
}

func TestPresignedAgreesWithSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlain(t)
		r := p.presign(t, time.Hour)
		r.RawPath = unescapeSome(t, reencode(t, r.RawPath))
		r.RawQuery = respell(t, r.RawQuery)
		ver, err := verifier().Begin(r)
		if err != nil {
			t.Fatalf("Begin: %v", err)
		}
		if !ver.Proven() || !ver.Presigned || !ver.Expires.Equal(p.time.Add(time.Hour)) {
			t.Fatalf("proven %v, presigned %v, expires %v", ver.Proven(), ver.Presigned, ver.Expires)
		}
	})
}

// TestAnyChangeIsNoticed changes one thing that a signature covers.
func TestAnyChangeIsNoticed(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*sigv4.Request){
		"method":       func(r *sigv4.Request) { r.Method += "X" },
		"path":         func(r *sigv4.Request) { r.RawPath += "/" },
		"host":         func(r *sigv4.Request) { r.Host = "evil" },
		"query":        func(r *sigv4.Request) { r.RawQuery += "&acl" },
		"header value": func(r *sigv4.Request) { r.Header = setField(r.Header, "X-Amz-Meta-K", "w") },
		"repeated":     func(r *sigv4.Request) { r.Header = append(r.Header, sigv4.Field{Name: "x-amz-meta-k", Value: "w"}) },
		"dropped":      func(r *sigv4.Request) { r.Header = dropField(r.Header, "X-Amz-Meta-K") },
	}
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlain(t)
		p.header = append(p.header, sigv4.Field{Name: "X-Amz-Meta-K", Value: "v"}, sigv4.Field{Name: "X-Amz-Content-Sha256", Value: p.payload})
		r := p.sign(t)
		if rapid.Bool().Draw(t, "presign") {
			r = p.presign(t, time.Hour)
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(changes))).Draw(t, "change")
		changes[name](r)
		if _, err := verifier().Begin(r); !errors.Is(err, s3err.SignatureDoesNotMatch) {
			t.Fatalf("%s changed: %v", name, err)
		}
	})
}

func setField(h sigv4.Header, name, value string) sigv4.Header {
	h = slices.Clone(h)
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			h[i].Value = value
		}
	}
	return h
}

func dropField(h sigv4.Header, name string) sigv4.Header {
	return slices.DeleteFunc(slices.Clone(h), func(f sigv4.Field) bool { return strings.EqualFold(f.Name, name) })
}
