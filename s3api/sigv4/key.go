package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"log/slog"
)

const redacted = "[redacted]"

// errSecret is given by the encoders of secrets.
var errSecret = errors.New("sigv4: a secret is not encoded")

// Secret is a secret access key. It prints as "[redacted]" and refuses to be
// encoded.
type Secret struct {
	key []byte
}

// NewSecret copies the secret access key.
func NewSecret(key string) Secret { return Secret{key: []byte("AWS4" + key)} }

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses.
func (Secret) MarshalText() ([]byte, error) { return nil, errSecret }

// signingKey is the key derived for one scope.
type signingKey struct {
	key [sha256.Size]byte
}

func (*signingKey) String() string       { return redacted }
func (*signingKey) GoString() string     { return redacted }
func (*signingKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// derive makes the key of a scope: four HMACs, about a microsecond.
func derive(s Secret, scope Scope) *signingKey {
	k := hmacSum(s.key, scope.Date)
	k = hmacSum(k, scope.Region)
	k = hmacSum(k, scope.Service)
	k = hmacSum(k, terminator)
	out := &signingKey{}
	copy(out.key[:], k)
	return out
}

// sign gives the signature of text as 64 lower-case hex digits.
func (k *signingKey) sign(text []byte) string {
	m := hmac.New(sha256.New, k.key[:])
	m.Write(text)
	var sum [sha256.Size]byte
	return hex.EncodeToString(m.Sum(sum[:0]))
}

func hmacSum(key []byte, text string) []byte {
	var m hash.Hash = hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// sameSignature compares in constant time.
func sameSignature(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
