package audit

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"

	"coffer/cipher"
)

// Labels of format 1 (FORMAT.md).
const (
	labelChain = "coffer/v1/audit/chain"
	labelState = "coffer/v1/audit/state"
	labelName  = "coffer/v1/audit/name"

	sumSize  = sha256.Size
	nameSize = 16 // bytes of a hash of a name that are written
)

// sum is an HMAC-SHA256.
type sum [sumSize]byte

// logID tells logs under one key apart. It is drawn when a log is made.
type logID [16]byte

func (id logID) String() string { return hex.EncodeToString(id[:]) }

func newLogID() (id logID) {
	_, _ = rand.Read(id[:]) // never fails: without random numbers the process ends
	return id
}

// keys are the subkeys of a log as functions, which nobody can print.
type keys struct {
	chain, state, name func() hash.Hash
}

// newKeys derives them from the StoreKey's subkey for audit, which is not kept.
func newKeys(key *cipher.Subkey) (*keys, error) {
	if key == nil || key.Expose() == nil {
		return nil, errors.New("the key is missing or wiped")
	}
	var k keys
	for _, d := range []struct {
		label string
		into  *func() hash.Hash
	}{{labelChain, &k.chain}, {labelState, &k.state}, {labelName, &k.name}} {
		sub, err := hkdf.Key(sha256.New, key.Expose(), nil, d.label, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive %s: %w", d.label, err)
		}
		*d.into = func() hash.Hash { return hmac.New(sha256.New, sub) }
	}
	return &k, nil
}

// chain is a position in the log: the number and the MAC of its last line.
type chain struct {
	hash hash.Hash
	at   Head
}

func (k *keys) chainFrom(at Head) chain { return chain{k.chain(), at} }

// sum gives the MAC of a line that follows, without going there.
func (c *chain) sum(body []byte) (mac sum) {
	c.hash.Reset()
	c.hash.Write(c.at.MAC[:])
	c.hash.Write(body)
	c.hash.Sum(mac[:0])
	return mac
}

// step goes to the line that follows.
func (c *chain) step(mac sum) { c.at = Head{c.at.Seq + 1, mac} }

// Head names a line and with it everything before it. One that is kept where
// nobody who reaches the log can change it, shows later that none of this was
// taken back.
type Head struct {
	Seq uint64 // number of the line, from 1; 0 before the first
	MAC sum    // no secret
}

// String returns the number, a colon and the MAC in hex.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.MAC[:]) }

// ParseHead reads what String returns.
func ParseHead(s string) (h Head, err error) {
	var digits string
	if n, err := fmt.Sscanf(s, "%d:%s", &h.Seq, &digits); n != 2 || err != nil {
		return Head{}, fmt.Errorf("audit: %q is not a number, a colon and a MAC", s)
	}
	if err := fromHex(h.MAC[:], digits); err != nil || h.String() != s {
		return Head{}, fmt.Errorf("audit: %q is not a number, a colon and a MAC", s)
	}
	return h, nil
}

// hasher hashes names of objects, from many goroutines.
type hasher struct{ pool sync.Pool }

func newHasher(k *keys) *hasher {
	return &hasher{sync.Pool{New: func() any { return k.name() }}}
}

// object returns the hash that stands for a name, nothing for no name.
func (h *hasher) object(bucket, name string) string {
	if name == "" {
		return ""
	}
	m := h.pool.Get().(hash.Hash)
	defer h.pool.Put(m)
	m.Reset()
	data := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(bucket)+len(name)), uint32(len(bucket)))
	data = append(append(data, bucket...), name...)
	m.Write(data)
	var full sum
	return hex.EncodeToString(m.Sum(full[:0])[:nameSize])
}

// ObjectHash returns what stands for an object in the lines of every log under
// key, to find the lines of an object whose name is known.
func ObjectHash(key *cipher.Subkey, bucket, name string) (string, error) {
	k, err := newKeys(key)
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	return newHasher(k).object(bucket, name), nil
}
