//go:build sealtrace

package cipher

import (
	"crypto/sha256"
	"sync"

	stdcipher "crypto/cipher"
)

// Trace counts what every AEAD of the process has sealed. It exists in builds with the tag sealtrace alone, which are
// for tests: they ask whether a key has ever met a nonce twice.
type Trace struct {
	mu     sync.Mutex
	seen   map[[16]byte]struct{} // hashes of key and nonce
	sealed int
	twice  int
}

// SealTrace is the one Trace of the process.
var SealTrace = &Trace{seen: make(map[[16]byte]struct{})}

// Count tells how many seals there were, and how many of them under a key and a nonce that had been used before.
func (t *Trace) Count() (sealed, twice int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sealed, t.twice
}

func (t *Trace) add(id [16]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed++
	if _, there := t.seen[id]; there {
		t.twice++
	}
	t.seen[id] = struct{}{}
}

// tracedAEAD is an AEAD that tells SealTrace of its seals.
type tracedAEAD struct {
	stdcipher.AEAD
	key [32]byte // hash of it
}

func traced(key []byte, aead stdcipher.AEAD) stdcipher.AEAD {
	return &tracedAEAD{AEAD: aead, key: sha256.Sum256(key)}
}

// Seal records the nonce, and seals.
func (a *tracedAEAD) Seal(dst, nonce, plaintext, additional []byte) []byte {
	sum := sha256.Sum256(append(a.key[:], nonce...))
	SealTrace.add([16]byte(sum[:16]))
	return a.AEAD.Seal(dst, nonce, plaintext, additional)
}
