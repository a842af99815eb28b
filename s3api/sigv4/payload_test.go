package sigv4_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestPayloadDeclaration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value string
		want  sigv4.Payload
		code  s3err.Code
	}{
		{"UNSIGNED-PAYLOAD", sigv4.PayloadUnsigned, ""},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", sigv4.PayloadSigned, ""},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", sigv4.PayloadSignedTrailer, ""},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", sigv4.PayloadUnsignedTrailer, ""},
		{emptySHA256, sigv4.PayloadSHA256, ""},
		{strings.ToUpper(emptySHA256), sigv4.PayloadSHA256, ""},
		{"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 0, s3err.InvalidArgument},
		{"unsigned-payload", 0, s3err.InvalidArgument},
		{emptySHA256[:63], 0, s3err.InvalidArgument},
		{emptySHA256[:62], 0, s3err.InvalidArgument},
		{emptySHA256[:63] + "g", 0, s3err.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			t.Parallel()
			p := base()
			p.payload, p.header = tt.value, sigv4.Header{{Name: "X-Amz-Content-Sha256", Value: tt.value}}
			ver, err := verifier().Begin(p.sign(t))
			if tt.code != "" {
				if !errors.Is(err, tt.code) {
					t.Fatalf("Begin: %v, want %s", err, tt.code)
				}
				return
			}
			if err != nil || ver.Payload != tt.want || !ver.Proven() {
				t.Fatalf("payload %v, error %v", ver.Payload, err)
			}
			if chunked := strings.HasPrefix(tt.value, "STREAMING"); ver.Payload.Chunked() != chunked {
				t.Errorf("Chunked() is %v", !chunked)
			}
		})
	}
	p := base()
	p.header = append(p.header, sigv4.Field{Name: "x-amz-content-sha256", Value: "UNSIGNED-PAYLOAD"})
	if _, err := verifier().Begin(p.sign(t)); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("declared twice: %v", err)
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	body := sha256.Sum256([]byte("body"))
	none := sha256.Sum256(nil)
	other := sha256.Sum256([]byte("other"))
	tests := []struct {
		name     string
		signed   [32]byte
		declared bool
		noBody   bool
		finish   [32]byte
		begin    s3err.Code
		want     s3err.Code
		text     string
	}{
		{name: "declared and right", signed: body, declared: true, finish: body},
		{name: "declared and wrong", signed: body, declared: true, finish: other, want: s3err.XAmzContentSHA256Mismatch},
		{name: "absent and right", signed: body, finish: body},
		{name: "absent and wrong", signed: body, finish: other, want: s3err.SignatureDoesNotMatch, text: "Check your key"},
		{name: "absent, signed as empty", signed: none, finish: body, want: s3err.SignatureDoesNotMatch, text: "signed as if it had no body"},
		{name: "absent, empty body", signed: none, finish: none},
		{name: "absent, no body", signed: none, noBody: true, finish: none},
		{name: "absent, no body, signed with one", signed: body, noBody: true, begin: s3err.SignatureDoesNotMatch},
		{name: "declared, no body", signed: none, declared: true, noBody: true, finish: none},
		{name: "declared a body, no body", signed: body, declared: true, noBody: true, begin: s3err.XAmzContentSHA256Mismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := base()
			p.payload = fmt.Sprintf("%x", tt.signed)
			p.header = nil
			if tt.declared {
				p.header = sigv4.Header{{Name: "X-Amz-Content-Sha256", Value: p.payload}}
			}
			r := p.sign(t)
			r.NoBody = tt.noBody
			ver, err := verifier().Begin(r)
			if s3err.CodeOf(err) != tt.begin {
				t.Fatalf("Begin: %v, want %q", err, tt.begin)
			}
			if err != nil {
				return
			}
			if !ver.NeedsBodySHA256() || ver.Proven() != (tt.declared || tt.noBody) {
				t.Errorf("needs body %v, proven %v", ver.NeedsBodySHA256(), ver.Proven())
			}
			err = ver.Finish(tt.finish)
			if s3err.CodeOf(err) != tt.want || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Finish: %v, want %q with %q", err, tt.want, tt.text)
			}
			if ok := tt.declared || tt.want == ""; ver.Proven() != ok {
				t.Errorf("proven is %v", !ok)
			}
		})
	}
}
