package storekey

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/argon2"

	"coffer/cipher"
)

// Kind is the kind of secret that unlocks a slot. The numbers are stored.
type Kind uint8

const (
	// KeyFile is the content of a file with random bytes.
	KeyFile Kind = 1
	// Passphrase is what a person types.
	Passphrase Kind = 2
	// Environment is a string from the environment, as strong or weak as a
	// passphrase.
	Environment Kind = 3
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case KeyFile:
		return "key file"
	case Passphrase:
		return "passphrase"
	case Environment:
		return "environment"
	default:
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
}

// stretched reports whether secrets of this kind go through Argon2id.
func (k Kind) stretched() bool { return k == Passphrase || k == Environment }

func (k Kind) valid() bool { return k >= KeyFile && k <= Environment }

// Limits of secrets in bytes.
const (
	MinKeyFileSize    = 32
	MaxKeyFileSize    = 64 << 10
	MaxPassphraseSize = 1 << 10
)

const (
	redacted     = "[redacted]"
	infoKeyFile  = "coffer/v1/storekey/keyfile"
	slotSaltSize = 16
)

var (
	// ErrSecret says that a secret cannot be used: too short, too long, or
	// wiped.
	ErrSecret = errors.New("unusable secret")
	// ErrEncode says that somebody tried to encode a secret.
	ErrEncode = errors.New("a secret has no encoded form")
)

// Secret is what unlocks slots of one kind. It prints as "[redacted]". The call
// that it is given to wipes it, so each Secret is good for one call.
type Secret struct{ m *material }

// material is behind a pointer so that all copies of a Secret are wiped at once,
// and the bytes are behind another, because fmt, which prints unexported fields
// without asking their methods, follows the first one for some verbs.
type material struct {
	kind  Kind
	bytes *[]byte
}

// KeyFileSecret makes a Secret of a copy of a key file's content.
func KeyFileSecret(content []byte) (Secret, error) {
	return newSecret(KeyFile, content, MinKeyFileSize, MaxKeyFileSize)
}

// PassphraseSecret makes a Secret of a copy of a passphrase.
func PassphraseSecret(passphrase []byte) (Secret, error) {
	return newSecret(Passphrase, passphrase, 1, MaxPassphraseSize)
}

// EnvironmentSecret makes a Secret of the value of an environment variable. The
// value itself cannot be wiped.
func EnvironmentSecret(value string) (Secret, error) {
	return newSecret(Environment, []byte(value), 1, MaxPassphraseSize)
}

func newSecret(kind Kind, content []byte, lowest, highest int) (Secret, error) {
	if n := len(content); n < lowest || n > highest {
		return Secret{}, fmt.Errorf("%w: %v of %d bytes, must be %d to %d", ErrSecret, kind, n, lowest, highest)
	}
	own := bytes.Clone(content)
	return Secret{&material{kind: kind, bytes: &own}}, nil
}

// NewKeyFile returns content for a new key file: 32 random bytes as a line of
// hexadecimal digits.
func NewKeyFile() []byte {
	var raw [cipher.KeySize]byte
	defer clear(raw[:])
	rand.Read(raw[:]) // never fails
	return append(hex.AppendEncode(nil, raw[:]), '\n')
}

// Kind returns the kind, 0 of the zero Secret.
func (s Secret) Kind() Kind {
	if s.m == nil {
		return 0
	}
	return s.m.kind
}

// Wipe overwrites the secret. It may be called more than once.
func (s Secret) Wipe() {
	if s.m != nil {
		clear(*s.m.bytes)
		*s.m.bytes = nil
	}
}

// usable reports whether the secret was set and not wiped.
func (s Secret) usable() error {
	if s.m == nil || len(*s.m.bytes) == 0 {
		return fmt.Errorf("%w: not set or used before", ErrSecret)
	}
	return nil
}

// slotKey derives the key of a slot. The caller wipes it.
func (s Secret) slotKey(salt []byte, cost Cost) (*cipher.Subkey, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	var raw []byte
	if s.m.kind.stretched() {
		if err := cost.Validate(); err != nil {
			return nil, err
		}
		raw = argon2.IDKey(*s.m.bytes, salt, cost.Passes, cost.MemoryKiB, cost.Lanes, cipher.KeySize)
	} else {
		var err error
		if raw, err = hkdf.Key(sha256.New, *s.m.bytes, salt, infoKeyFile, cipher.KeySize); err != nil {
			return nil, err
		}
	}
	defer clear(raw)
	return cipher.SubkeyFromBytes(raw)
}

// Format prints "[redacted]" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// LogValue logs "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses with ErrEncode.
func (s Secret) MarshalText() ([]byte, error) { return nil, ErrEncode }

// MarshalJSON refuses with ErrEncode.
func (s Secret) MarshalJSON() ([]byte, error) { return nil, ErrEncode }
