package cipher

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of every key in bytes.
const KeySize = 32

const redacted = "[redacted]"

// Secret is any of this package's key types, always a pointer.
type Secret interface {
	Expose() []byte
	Wipe()
	Fingerprint() Fingerprint
	usable() ([]byte, error)
}

// secret is what the key types have in common. The material is behind a pointer so that copies of a key share it
// and one Wipe reaches all. The bytes are behind a second one because fmt prints unexported fields of a foreign
// struct without asking their methods, and follows one pointer in doing so ("%s" of a struct that holds a
// DataKey), but not two.
type secret struct{ m *material }

type material struct {
	bytes *[KeySize]byte // nil once it is wiped
}

func randomSecret() secret {
	s := emptySecret()
	_, _ = rand.Read(s.m.bytes[:]) // never fails: without random numbers the process ends
	return s
}

func secretFromBytes(b []byte) (secret, error) {
	if len(b) != KeySize {
		return secret{}, fmt.Errorf("%w: %d bytes, want %d", ErrKey, len(b), KeySize)
	}
	s := emptySecret()
	copy(s.m.bytes[:], b)
	return s, nil
}

// emptySecret returns room for a key, which the caller fills.
func emptySecret() secret { return secret{&material{new([KeySize]byte)}} }

// usable returns the bytes of the key, or ErrKey when there are none: the zero value and a wiped key
// must never pass for a key of zeros.
func (s secret) usable() ([]byte, error) {
	switch {
	case s.m == nil:
		return nil, fmt.Errorf("%w: none set", ErrKey)
	case s.m.bytes == nil:
		return nil, fmt.Errorf("%w: wiped", ErrKey)
	}
	return s.m.bytes[:], nil
}

// Expose returns the bytes of the key themselves, for wrapping it under another key. The caller neither
// keeps nor changes them. It returns nil when the key is wiped or was never set.
func (s secret) Expose() []byte {
	b, err := s.usable()
	if err != nil {
		return nil
	}
	return b[:KeySize:KeySize]
}

// Wipe overwrites the key, in every copy. From then on it is refused with ErrKey. Nobody may be using it.
func (s secret) Wipe() {
	if s.m != nil && s.m.bytes != nil {
		clear(s.m.bytes[:])
		s.m.bytes = nil
	}
}

// Fingerprint returns the key's fingerprint, or zero when the key is wiped or was never set.
func (s secret) Fingerprint() Fingerprint {
	b, err := s.usable()
	if err != nil {
		return Fingerprint{}
	}
	return Fingerprint(hkdfSHA256(b, nil, infoFingerprint, IDSize))
}

// equal compares in constant time. A key that is not usable equals nothing.
func (s secret) equal(o secret) bool {
	a, errA := s.usable()
	b, errB := o.usable()
	return errA == nil && errB == nil && subtle.ConstantTimeCompare(a, b) == 1
}

// Format prints "[redacted]" whatever the verb.
func (s secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s secret) String() string { return redacted }

// LogValue logs "[redacted]".
func (s secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses with ErrSecret: a stand-in that was stored would be a key lost.
func (s secret) MarshalText() ([]byte, error) { return nil, ErrSecret }

// MarshalJSON refuses with ErrSecret.
func (s secret) MarshalJSON() ([]byte, error) { return nil, ErrSecret }

// MarshalBinary refuses with ErrSecret.
func (s secret) MarshalBinary() ([]byte, error) { return nil, ErrSecret }
