package object

import (
	"bytes"
	"crypto/md5"
	"testing"

	"coffer/cipher"
	"coffer/object/checksum"
)

// TestNoMD5UnlessAsked: where the entity tag is not the MD5, none is computed unless the client sent one.
func TestNoMD5UnlessAsked(t *testing.T) {
	t.Parallel()
	body := []byte("the body")
	sum := md5.Sum(body)
	for _, tc := range []struct {
		name string
		mode cipher.Mode
		sent []byte
		want bool
	}{
		{"SSE-S3", cipher.ModeSSES3, nil, true},
		{"SSE-KMS", cipher.ModeSSEKMS, nil, false},
		{"SSE-C", cipher.ModeSSEC, nil, false},
		{"SSE-KMS, sent", cipher.ModeSSEKMS, sum[:], true},
		{"SSE-C, sent", cipher.ModeSSEC, sum[:], true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := (&sealingPlan{mode: tc.mode}).stored()
			in := incoming{tagMD5: e.wantsMD5(), want: Digests{MD5: tc.sent, Algorithm: checksum.CRC32C}}
			d := in.digester()
			d.write(body)
			got := d.sums()
			if (got.md5 != nil) != tc.want || tc.want && !bytes.Equal(got.md5, sum[:]) {
				t.Errorf("MD5 %x, want one: %v", got.md5, tc.want)
			}
			if tag := (&pendingBody{digests: got}).tag(e); bytes.Equal(tag, sum[:]) != (tc.mode == cipher.ModeSSES3) || len(tag) != md5.Size {
				t.Errorf("the entity tag is made of %x", tag)
			}
			if len(got.sum) != 4 {
				t.Error("the checksum that was asked for is missing")
			}
		})
	}
}
