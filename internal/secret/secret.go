package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Value prints as.
const redacted = "[redacted]"

// errSecretText refuses to marshal a secret.
var errSecretText = errors.New("secret: a secret has no text form")

// Value is a password, passphrase or key that was given to the process. It
// has no printed form.
type Value struct{ value []byte }

// New makes a secret of a copy of value.
func New(value []byte) Value { return Value{value: append([]byte(nil), value...)} }

// IsZero reports whether the secret is absent or empty.
func (s Value) IsZero() bool { return len(s.value) == 0 }

// Expose returns the secret itself, which stays the Value's own: the caller
// neither keeps nor changes it.
func (s Value) Expose() []byte { return s.value }

// Wipe overwrites the secret in every copy of this value.
func (s Value) Wipe() { clear(s.value) }

// String implements fmt.Stringer and never shows the secret.
func (s Value) String() string { return redacted }

// Format implements fmt.Formatter and never shows the secret, whatever the verb.
func (s Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer and never shows the secret.
func (s Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler and always fails.
func (s Value) MarshalText() ([]byte, error) { return nil, errSecretText }
