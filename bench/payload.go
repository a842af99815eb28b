package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
)

// Bodies are slices of one buffer that begin at one of several offsets, chosen
// by the object's key, so that an answer with another object's bytes is noticed.
const (
	variants      = 16
	variantStride = 4099
)

// MaxObject is the largest object that a Plan may ask for.
const MaxObject = 1 * GiB

// payload makes the bodies of objects up to a size. The same bytes come out in
// every process, so a MemoryServer needs no body to be sent. It is immutable
// and safe for concurrent use.
type payload struct{ buf []byte }

// newPayload makes bodies of up to size bytes. They do not compress.
func newPayload(size Size) *payload {
	buf := make([]byte, int(size)+variants*variantStride)
	rng := rand.NewChaCha8([32]byte{'c', 'o', 'f', 'f', 'e', 'r', ' ', 'b', 'e', 'n', 'c', 'h'})
	_, _ = rng.Read(buf) // documented never to fail
	return &payload{buf: buf}
}

// body gives the bytes of the object at key; they must not be changed.
func (p *payload) body(key string, size Size) []byte {
	start := variant(key) * variantStride
	return p.buf[start : start+int(size) : start+int(size)]
}

func variant(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // documented never to fail
	return int(h.Sum32() % variants)
}

// digests holds the SHA-256 of all bodies of one size, as the wire wants them.
type digests [variants]string

func (p *payload) digests(size Size) *digests {
	var d digests
	for i := range d {
		start := i * variantStride
		sum := sha256.Sum256(p.buf[start : start+int(size)])
		d[i] = hex.EncodeToString(sum[:])
	}
	return &d
}

func (d *digests) of(key string) string { return d[variant(key)] }
