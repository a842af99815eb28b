package sigv4_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	secret := sigv4.NewSecret("hunter2hunter2")
	ver, err := verifier().Begin(base().sign(t))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x ", secret, secret, secret, secret, secret, secret)
	fmt.Fprintf(&out, "%v %+v %#v", ver.Chunks(), ver, struct{ S sigv4.Secret }{secret})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", secret)
	for _, leak := range []string{"hunter2", hex.EncodeToString([]byte("hunter2")), secretKey, "AWS4hunter2", "65 87 83 52"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q in %s", leak, out.String())
		}
	}
	if b, err := json.Marshal(secret); err == nil {
		t.Errorf("JSON gives %s", b)
	}
}

// resign replaces the signature of a request by the right one for the string to
// sign that the verifier reports, computed here.
func resign(t *testing.T, v *sigv4.Verifier, r *sigv4.Request) {
	t.Helper()
	_, err := v.Begin(r)
	if !errors.Is(err, s3err.SignatureDoesNotMatch) {
		t.Fatalf("Begin: %v", err)
	}
	var toSign string
	for _, d := range s3err.From(err).Details {
		if d.Name == "StringToSign" {
			toSign = d.Value
		}
	}
	key := []byte("AWS4" + secretKey)
	for _, step := range append(strings.Split(strings.Split(toSign, "\n")[2], "/"), toSign) {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(step))
		key = m.Sum(nil)
	}
	edit(signature(r), hex.EncodeToString(key))(r)
}

func TestDateInPlaceOfAmzDate(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"Sun, 01 Mar 2026 12:05:00 GMT", "20260301T120500Z"} {
		t.Run(date, func(t *testing.T) {
			t.Parallel()
			r := base().sign(t)
			r.Header = dropField(r.Header, "X-Amz-Date")
			edit(";x-amz-date", "")(r)
			addField("Date", date)(r)
			resign(t, verifier(), r)
			ver, err := verifier().Begin(r)
			if err != nil || ver.Time.Minute() != 5 {
				t.Fatalf("Begin: %v", err)
			}
		})
	}
}

func TestAccessKeyWithSlash(t *testing.T) {
	t.Parallel()
	v := sigv4.New(func(key string) (sigv4.Secret, bool) { return sigv4.NewSecret(secretKey), key == "AK/1/2" },
		sigv4.Options{Region: region, Now: now})
	r := base().sign(t)
	edit(accessKey, "AK/1/2")(r) // the access key is not part of the string to sign
	ver, err := v.Begin(r)
	if err != nil || ver.AccessKey != "AK/1/2" {
		t.Fatalf("Begin: %v", err)
	}
}

// TestAbsentSignedHeaderIsEmpty: a client signs an empty header that its HTTP
// library then leaves out.
func TestAbsentSignedHeaderIsEmpty(t *testing.T) {
	t.Parallel()
	p := base()
	p.header = append(p.header, sigv4.Field{Name: "Content-Md5"})
	r := p.sign(t)
	r.Header = dropField(r.Header, "Content-Md5")
	if _, err := verifier().Begin(r); err != nil {
		t.Fatalf("Begin: %v", err)
	}
}

// TestEmptyPath: "GET ?x HTTP/1.1" is the root.
func TestEmptyPath(t *testing.T) {
	t.Parallel()
	p := base()
	p.path = "/"
	r := p.sign(t)
	r.RawPath = ""
	if _, err := verifier().Begin(r); err != nil {
		t.Fatalf("Begin: %v", err)
	}
}

// TestBlanksInHeaders: what is around and between words of a value counts as one
// space, as botocore and the JavaScript SDK sign it.
func TestBlanksInHeaders(t *testing.T) {
	t.Parallel()
	p := base()
	p.header = append(p.header, sigv4.Field{Name: "X-Amz-Meta-B", Value: "a b c"})
	r := p.sign(t)
	r.Header = setField(r.Header, "X-Amz-Meta-B", " \ta \t b   c\t")
	if _, err := verifier().Begin(r); err != nil {
		t.Fatalf("Begin: %v", err)
	}
	r.Header = setField(r.Header, "X-Amz-Meta-B", "ab c")
	if _, err := verifier().Begin(r); !errors.Is(err, s3err.SignatureDoesNotMatch) {
		t.Fatalf("blank removed: %v", err)
	}
}
