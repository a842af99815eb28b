package sigv4

import (
	"encoding/hex"
	"time"
)

const (
	chunkAlgorithm   = "AWS4-HMAC-SHA256-PAYLOAD"
	trailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER"
	emptySHA256      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// ChunkVerifier verifies the chain of signatures of an aws-chunked body. It
// starts at the signature of the request and is used by one reader.
type ChunkVerifier struct {
	key   *signingKey
	stamp string // date and scope lines
	prev  string
	buf   []byte
}

func newChunkVerifier(key *signingKey, t time.Time, scope Scope, seed string) *ChunkVerifier {
	return &ChunkVerifier{
		key:   key,
		stamp: "\n" + t.UTC().Format(timeFormat) + "\n" + scope.String() + "\n",
		prev:  seed,
	}
}

// VerifyChunk reports whether signature is that of the next chunk, whose data
// has the SHA-256 sum, and advances the chain when it is.
func (c *ChunkVerifier) VerifyChunk(sum [32]byte, signature string) bool {
	return c.verify(chunkAlgorithm, emptySHA256+"\n", sum, signature)
}

// VerifyTrailer reports whether signature is that of the trailer, whose
// canonical form (name:value and a newline for each) has the SHA-256 sum.
func (c *ChunkVerifier) VerifyTrailer(sum [32]byte, signature string) bool {
	return c.verify(trailerAlgorithm, "", sum, signature)
}

func (c *ChunkVerifier) verify(algo, emptyLine string, sum [32]byte, signature string) bool {
	b := append(c.buf[:0], algo...)
	b = append(b, c.stamp...)
	b = append(b, c.prev...)
	b = append(b, '\n')
	b = append(b, emptyLine...)
	b = hex.AppendEncode(b, sum[:])
	c.buf = b
	want := c.key.sign(b)
	if !sameSignature(want, signature) {
		return false
	}
	c.prev = want
	return true
}
