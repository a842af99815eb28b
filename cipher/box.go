package cipher

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"

	stdcipher "crypto/cipher"
)

// A box is
//
//	format    1 byte    1
//	nonce    24 bytes   random
//	text      n bytes   XAES-256-GCM
//	tag      16 bytes
const (
	boxFormat   = 1
	boxText     = 1 + xaesNonceSize
	BoxOverhead = boxText + gcmTagSize // 41: what a box adds to its plaintext, in bytes
)

// Box seals small values under one key: metastore values, files of the keyring and the configuration, KEKs under a
// MasterKey. Nonces are random and long enough that one key may seal 2^64 values. It is safe for concurrent use.
type Box struct {
	x      *xaes
	err    error // why the key is unusable
	random io.Reader
}

// NewBox returns a box under key, which it does not keep. A key that is wiped or was never set makes a box that opens
// nothing (ErrKey) and panics when asked to seal.
func NewBox(key Secret) *Box { return newBox(key, rand.Reader) }

// newBox takes the source of nonces, which tests of golden files fix.
func newBox(key Secret, random io.Reader) *Box {
	b, err := key.usable()
	if err != nil {
		return &Box{err: err}
	}
	return &Box{x: newXAES(b), random: random}
}

// Seal appends the sealed form of plaintext to dst: len(plaintext)+BoxOverhead bytes. The room behind dst must not
// overlap plaintext. additional is bound to the value and not stored; Open must be given the same bytes.
func (b *Box) Seal(dst, plaintext, additional []byte) []byte {
	if b.err != nil {
		panic("cipher: seal in a box without a key") // nothing sensible could be returned, and plaintext must not be
	}
	dst = slices.Grow(dst, len(plaintext)+BoxOverhead)
	dst = append(dst, boxFormat)
	nonce := dst[len(dst) : len(dst)+xaesNonceSize]
	if _, err := io.ReadFull(b.random, nonce); err != nil {
		panic("cipher: no random numbers: " + err.Error()) // rand.Reader never fails
	}
	dst = dst[:len(dst)+xaesNonceSize]
	return b.aead(nonce).Seal(dst, nonce[xaesSaltSize:], plaintext, additional)
}

// Open appends the plaintext of sealed to dst. The room behind dst must not overlap sealed. The errors are ErrAuth,
// ErrFormat with its kinds ErrVersion and ErrTruncated, and ErrKey; with any of them nothing is appended.
func (b *Box) Open(dst, sealed, additional []byte) ([]byte, error) {
	if b.err != nil {
		return nil, fmt.Errorf("open box: %w", b.err)
	}
	if len(sealed) == 0 {
		return nil, fmt.Errorf("open box: %w", ErrTruncated)
	}
	if sealed[0] != boxFormat {
		return nil, fmt.Errorf("open box: %w %d", ErrVersion, sealed[0])
	}
	if len(sealed) < BoxOverhead {
		return nil, fmt.Errorf("open box: %w: %d bytes", ErrTruncated, len(sealed))
	}
	nonce := sealed[1:boxText]
	out, err := b.aead(nonce).Open(dst, nonce[xaesSaltSize:], sealed[boxText:], additional)
	if err != nil {
		return nil, fmt.Errorf("open box: %w", ErrAuth)
	}
	return out, nil
}

// aead returns the AES-256-GCM that the first half of the nonce selects.
func (b *Box) aead(nonce []byte) stdcipher.AEAD {
	key := b.x.derive(nonce[:xaesSaltSize])
	defer clear(key[:])
	return newGCM(key[:])
}
