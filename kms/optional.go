package kms

import (
	"context"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"coffer/cipher"
)

// What follows are interfaces that a backend may implement beside Backend and
// Admin. Each has functions of the same names that ask a backend and answer
// with Unsupported, or do the work another way, where it does not have it.

// Creator makes keys with more than an id.
type Creator interface {
	// CreateKeyWith is CreateKey with what else is to be kept about the key. An
	// algorithm or usage that the backend cannot make is Unsupported.
	CreateKeyWith(ctx context.Context, spec KeySpec) (KeyInfo, error)
}

// Lifecycle moves keys between their states.
type Lifecycle interface {
	// EnableKey makes a disabled key encrypt again. An enabled one stays as it
	// is; one that waits for its deletion is InvalidState.
	EnableKey(ctx context.Context, keyID string) (KeyInfo, error)

	// DisableKey makes a key decrypt only. A disabled one stays as it is; one
	// that waits for its deletion is InvalidState.
	DisableKey(ctx context.Context, keyID string) (KeyInfo, error)

	// ScheduleDeletion makes a key decrypt only and sets the end of its waiting
	// time, window from now (see CheckWindow). One that waits already is
	// InvalidState. Nothing is destroyed when the time has passed: that is left
	// to a caller of DestroyKey.
	ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (KeyInfo, error)

	// CancelDeletion enables a key that waits for its deletion. Another state is
	// InvalidState.
	CancelDeletion(ctx context.Context, keyID string) (KeyInfo, error)

	// DestroyKey destroys all versions of a key in any state, now and for good.
	// Afterwards the key is NotFound, and a key made under its id is another
	// one. A call that failed may be repeated.
	DestroyKey(ctx context.Context, keyID string) error
}

// Describer changes what is kept about a key in any state.
type Describer interface {
	// SetDescription replaces the description; "" removes it.
	SetDescription(ctx context.Context, keyID, text string) (KeyInfo, error)
	// SetTags adds tags and replaces those of the same names.
	SetTags(ctx context.Context, keyID string, tags map[string]string) (KeyInfo, error)
	// RemoveTags removes tags. Names that are absent are no error.
	RemoveTags(ctx context.Context, keyID string, names ...string) (KeyInfo, error)
	// SetMaxAge sets the age of the newest version at which rotation is due, in
	// whole seconds; 0 means never.
	SetMaxAge(ctx context.Context, keyID string, age time.Duration) (KeyInfo, error)
}

// Crypter encrypts small values of a caller's own under a key. It shares its
// form with wrapped KEKs: Decrypt opens what GenerateKEK wrapped, and Unwrap what
// Encrypt made of the 32 bytes of a KEK.
type Crypter interface {
	// Encrypt encrypts 1 to MaxPlaintextSize bytes, in the states that allow
	// GenerateKEK.
	Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (Wrapped, error)
	// Decrypt is the inverse, in the states that allow Unwrap and under the same
	// rules. The caller wipes what it returns.
	Decrypt(ctx context.Context, w Wrapped, keyContext []byte) ([]byte, error)
}

// Wrapper wraps a KEK that another backend issued.
type Wrapper interface {
	// WrapKEK wraps kek as GenerateKEK would have. It does not keep kek.
	WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (Wrapped, error)
}

// BatchRewrapper rewraps many KEKs in few calls.
type BatchRewrapper interface {
	// RewrapBatch does what Rewrap does for each of up to MaxBatch items, and
	// gives as many results in the same order. One that fails fails alone.
	RewrapBatch(ctx context.Context, items []RewrapItem) []RewrapResult
}

// Gate tells whether a key may encrypt, without describing it.
type Gate interface {
	// CheckEncrypt fails as GenerateKEK would for the state of the key. What was
	// read of it a short time ago is good enough.
	CheckEncrypt(ctx context.Context, keyID string) error
}

// CheckEncrypt asks a Gate, and has the key described where there is none.
func CheckEncrypt(ctx context.Context, a Admin, keyID string) error {
	if gate, ok := a.(Gate); ok {
		return gate.CheckEncrypt(ctx, keyID)
	}
	info, err := a.DescribeKey(ctx, keyID)
	if err == nil {
		err = NewError("check key", keyID, info.State.CheckEncrypt())
	}
	return err
}

// Reporter tells how a backend fares, without calling out.
type Reporter interface {
	Report() Report
}

// MaxBatch is the longest batch of RewrapBatch. MaxPlaintextSize is the longest
// plaintext of Encrypt in bytes.
const (
	MaxBatch         = 1000
	MaxPlaintextSize = 4 << 10
)

// The waiting time before a key is destroyed.
const (
	MinDeletionWindow     = 7 * 24 * time.Hour
	MaxDeletionWindow     = 30 * 24 * time.Hour
	DefaultDeletionWindow = MaxDeletionWindow
)

// Limits of what is kept about a key.
const (
	MaxDescriptionSize = 8 << 10 // bytes
	MaxTags            = 50
	MaxTagNameSize     = 128 // bytes
	MaxTagValueSize    = 256 // bytes
	MaxKeyAge          = 100 * 365 * 24 * time.Hour
)

// KeySpec says what key to make. The zero value of every field but KeyID is the
// default.
type KeySpec struct {
	KeyID       string
	Algorithm   string // AlgorithmAES256 when empty
	Usage       string // UsageEncryptDecrypt when empty
	Origin      string // kept and shown; the backend's own when empty
	Description string
	Tags        map[string]string
}

// AlgorithmAES256 is the algorithm that every backend makes: 256-bit AES in an
// authenticated mode. UsageEncryptDecrypt is the usage.
const (
	AlgorithmAES256     = "AES-256"
	UsageEncryptDecrypt = "EncryptDecrypt"
)

// WithDefaults returns s with every default filled in, and the first fault:
// Invalid, or Unsupported where only other backends could make such a key.
func (s KeySpec) WithDefaults(origin string) (KeySpec, error) {
	if s.Algorithm == "" {
		s.Algorithm = AlgorithmAES256
	}
	if s.Usage == "" {
		s.Usage = UsageEncryptDecrypt
	}
	if s.Origin == "" {
		s.Origin = origin
	}
	for _, check := range []error{
		CheckKeyID(s.KeyID), CheckDescription(s.Description), CheckTags(s.Tags), checkText("origin", s.Origin, MaxTagValueSize),
	} {
		if check != nil {
			return s, check
		}
	}
	switch {
	case s.Algorithm != AlgorithmAES256:
		return s, unsupported("algorithm %q; this backend makes %s", s.Algorithm, AlgorithmAES256)
	case s.Usage != UsageEncryptDecrypt:
		return s, unsupported("usage %q; this backend makes keys for %s", s.Usage, UsageEncryptDecrypt)
	}
	s.Tags = maps.Clone(s.Tags)
	return s, nil
}

// RewrapItem is a wrapped KEK and its context.
type RewrapItem struct {
	Wrapped Wrapped
	Context []byte
}

// RewrapResult is what Rewrap returns.
type RewrapResult struct {
	Wrapped Wrapped
	Err     error
}

// Circuit is the state of a backend's circuit breaker.
type Circuit uint8

const (
	// CircuitNone: the backend has no breaker.
	CircuitNone Circuit = iota
	// CircuitClosed: calls go through.
	CircuitClosed
	// CircuitOpen: calls fail at once.
	CircuitOpen
	// CircuitHalfOpen: one call goes through, to try.
	CircuitHalfOpen
)

// String returns the state in words.
func (c Circuit) String() string {
	switch c {
	case CircuitNone:
		return "none"
	case CircuitClosed:
		return "closed"
	case CircuitOpen:
		return "open"
	case CircuitHalfOpen:
		return "half-open"
	default:
		return "unknown"
	}
}

// Report is how a backend fares. It holds no secret.
type Report struct {
	Circuit           Circuit
	InFlight          int       // calls under way
	Version           string    // of the server behind the backend; "" where there is none, or it is not known
	CredentialExpires time.Time // zero: never, or not known
	NoCredential      bool      // there is none now, so every call fails
	KeyState          string    // where states and tags are kept that the backend has no place for; "" in the backend itself
	Notes             []string  // what an administrator should know, such as a key that is not derived
}

// CheckWindow reports whether window is a waiting time before deletion. The
// error has Kind Invalid.
func CheckWindow(window time.Duration) error {
	if window < MinDeletionWindow || window > MaxDeletionWindow {
		return invalid("a waiting time of %v, must be %v to %v", window, MinDeletionWindow, MaxDeletionWindow)
	}
	return nil
}

// CheckPlaintext reports whether plaintext is within the limits of Encrypt. The
// error has Kind Invalid.
func CheckPlaintext(plaintext []byte) error {
	if n := len(plaintext); n < 1 || n > MaxPlaintextSize {
		return invalid("a plaintext of %d bytes, must be 1 to %d", n, MaxPlaintextSize)
	}
	return nil
}

// CheckDescription reports whether text can describe a key. The error has Kind
// Invalid.
func CheckDescription(text string) error {
	if len(text) > MaxDescriptionSize || !utf8.ValidString(text) {
		return invalid("the description must be UTF-8 of at most %d bytes", MaxDescriptionSize)
	}
	return nil
}

// CheckTags reports whether a key can have these tags. The error has Kind
// Invalid.
func CheckTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return invalid("%d tags, more than %d", len(tags), MaxTags)
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if name == "" {
			return invalid("a tag without a name")
		}
		if err := checkText("name of a tag", name, MaxTagNameSize); err != nil {
			return err
		}
		if err := checkText("value of a tag", tags[name], MaxTagValueSize); err != nil {
			return err
		}
	}
	return nil
}

// CheckMaxAge reports whether age can be the age at which rotation is due. The
// error has Kind Invalid.
func CheckMaxAge(age time.Duration) error {
	if age < 0 || age > MaxKeyAge || age%time.Second != 0 {
		return invalid("a maximum age of %v, must be whole seconds, 0 to %v", age, MaxKeyAge)
	}
	return nil
}

func checkText(what, text string, limit int) error {
	if len(text) > limit || !utf8.ValidString(text) {
		return invalid("the %s must be UTF-8 of at most %d bytes", what, limit)
	}
	for i, r := range text {
		if unicode.IsControl(r) {
			return invalid("the %s holds a control character at byte %d", what, i)
		}
	}
	return nil
}
