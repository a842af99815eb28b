package storekey

import (
	"errors"
	"fmt"
	"strings"

	"coffer/cipher"
)

var (
	// ErrMissing says that there is no store.key.
	ErrMissing = errors.New("is missing")
	// ErrDamaged says that store.key is not what was written.
	ErrDamaged = errors.New("is damaged")
	// ErrNewer says that a newer version of Coffer wrote store.key.
	ErrNewer = errors.New("has a newer format")
	// ErrExists says that there is a store.key already.
	ErrExists = errors.New("exists already")
	// ErrChanged says that store.key was changed since it was loaded.
	ErrChanged = errors.New("was changed by somebody else meanwhile")

	// ErrWrongSecret says that no slot opens with the secret.
	ErrWrongSecret = errors.New("wrong unlock secret")
	// ErrWrongKey says that an operation on slots was given another store's key.
	ErrWrongKey = errors.New("not the key of this store")
	// ErrNoSlot says that there is no slot of this id.
	ErrNoSlot = errors.New("no such slot")
	// ErrLastSlot says that the only slot cannot be removed.
	ErrLastSlot = errors.New("the last slot cannot be removed: nothing would unlock the store")
	// ErrFull says that there is no room for another slot.
	ErrFull = errors.New("no room for another slot")
)

// FileError says that store.key cannot be used, and what to do. Its cause is
// one of the sentinels of this package or an error of the disk.
type FileError struct {
	File string
	Err  error
}

// Error names the file and the remedy.
func (e *FileError) Error() string {
	s := fmt.Sprintf("%s: %v", e.File, e.Err)
	switch {
	case errors.Is(e.Err, ErrNewer):
		return s + "; use the version of Coffer that wrote it"
	case errors.Is(e.Err, ErrMissing), errors.Is(e.Err, ErrDamaged):
		return s + "; nothing was made in its place: restore it from a backup"
	case errors.Is(e.Err, ErrChanged):
		return s + "; nothing was changed: try again"
	default:
		return s
	}
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// WrongSecretError says which store a secret did not unlock. It is
// ErrWrongSecret.
type WrongSecretError struct {
	Store       cipher.StoreID
	Fingerprint cipher.Fingerprint // of the StoreKey that was expected
	Kind        Kind               // of the secret given
	Tried       int                // slots of this kind, all tried
	Slots       []Slot             // all slots
}

// Error names the store, the fingerprint and the slots there are.
func (e *WrongSecretError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wrong unlock secret for store %v (expected store key fingerprint %v): ", e.Store, e.Fingerprint)
	if e.Tried == 0 {
		fmt.Fprintf(&b, "no slot is opened by %v", e.Kind)
	} else {
		fmt.Fprintf(&b, "the %v given opens none of %d slot(s) of its kind", e.Kind, e.Tried)
	}
	b.WriteString("; slots:")
	for _, s := range e.Slots {
		fmt.Fprintf(&b, " %d (%v", s.ID, s.Kind)
		if s.Label != "" {
			fmt.Fprintf(&b, " %q", s.Label)
		}
		b.WriteString(")")
	}
	return b.String() + "; nothing was changed"
}

// Is makes errors.Is(err, ErrWrongSecret) true.
func (e *WrongSecretError) Is(target error) bool { return target == ErrWrongSecret }
