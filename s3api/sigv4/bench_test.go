package sigv4_test

import (
	"testing"
	"time"

	"coffer/s3api/sigv4"
)

// BenchmarkBegin is the whole cost of a request's signature, key derivation
// included.
func BenchmarkBegin(b *testing.B) {
	v := verifier()
	for name, r := range map[string]*sigv4.Request{"header": base().sign(b), "presigned": base().presign(b, time.Hour)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Begin(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
