package kms

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"coffer/cipher"
)

// State says what may be done with a key. The zero State is not a state. The
// numbers are stored by backends and never change.
type State uint8

const (
	// StateEnabled keys encrypt and decrypt.
	StateEnabled State = 1
	// StateDisabled keys decrypt only.
	StateDisabled State = 2
	// StatePendingDeletion keys decrypt only, until they are deleted.
	StatePendingDeletion State = 3
)

// String returns the name of the state as the admin API shows it.
func (s State) String() string {
	switch s {
	case StateEnabled:
		return "Enabled"
	case StateDisabled:
		return "Disabled"
	case StatePendingDeletion:
		return "PendingDeletion"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// Valid reports whether s is one of the declared states.
func (s State) Valid() bool { return s >= StateEnabled && s <= StatePendingDeletion }

// CheckEncrypt returns nil when a key in this state may wrap and rotate,
// else the Kind of the refusal.
func (s State) CheckEncrypt() error {
	switch s {
	case StateEnabled:
		return nil
	case StateDisabled:
		return Disabled
	default:
		return InvalidState
	}
}

// KeyInfo describes a key. It holds no secret.
type KeyInfo struct {
	ID          string
	State       State
	Algorithm   string // such as AlgorithmAES256
	Usage       string // such as UsageEncryptDecrypt
	Created     time.Time
	DeleteAfter time.Time // end of the waiting time; zero unless StatePendingDeletion
	Origin      string    // what made the key material, such as "COFFER_LOCAL"
	Description string
	Tags        map[string]string
	MaxAge      time.Duration // of the newest version, after which rotation is due; zero means never
	Unbound     bool          // the backend does not check contexts under this key; only Coffer does
	Versions    []KeyVersion  // ascending by number, never empty; the last one wraps
	Fault       error         // in ListKeys: why this key cannot serve; then only ID is set beside it
}

// Newest returns the version that wraps.
func (k KeyInfo) Newest() KeyVersion {
	if len(k.Versions) == 0 {
		return KeyVersion{}
	}
	return k.Versions[len(k.Versions)-1]
}

// RotationDue reports whether the newest version is older than MaxAge.
func (k KeyInfo) RotationDue(now time.Time) bool {
	return k.MaxAge > 0 && len(k.Versions) > 0 && now.Sub(k.Newest().Created) >= k.MaxAge
}

// DeletionDue reports whether the waiting time before deletion has passed.
func (k KeyInfo) DeletionDue(now time.Time) bool {
	return k.State == StatePendingDeletion && !now.Before(k.DeleteAfter)
}

// KeyVersion describes one version of a key.
type KeyVersion struct {
	Number      uint32 // from 1
	Fingerprint cipher.Fingerprint
	Created     time.Time
}

// KeyPage is one page of ListKeys.
type KeyPage struct {
	Keys []KeyInfo
	More bool // there are keys after the last one of this page
}

// CheckKeyID reports whether id can name a key: 1 to MaxKeyIDSize bytes of
// UTF-8 without control characters. The error has Kind Invalid.
func CheckKeyID(id string) error {
	switch {
	case id == "":
		return invalid("the key id is empty")
	case len(id) > MaxKeyIDSize:
		return invalid("the key id has %d bytes, more than %d", len(id), MaxKeyIDSize)
	case !utf8.ValidString(id):
		return invalid("the key id is not UTF-8")
	}
	for i, r := range id {
		if unicode.IsControl(r) {
			return invalid("the key id holds a control character at byte %d", i)
		}
	}
	return nil
}

// CheckContext reports whether keyContext is within MaxContextSize. The error
// has Kind Invalid.
func CheckContext(keyContext []byte) error {
	if len(keyContext) > MaxContextSize {
		return invalid("the context has %d bytes, more than %d", len(keyContext), MaxContextSize)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{Invalid}, args...)...)
}
