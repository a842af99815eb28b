package kms

import (
	"context"
	"errors"
	"fmt"
)

// Kind is the class of an error of a key service. A Kind is itself an error, so
// that errors.Is(err, kms.NotFound) decides.
type Kind uint8

const (
	// Other is an error without a class of its own.
	Other Kind = iota
	// Invalid: the request itself is malformed or beyond a limit.
	Invalid
	// NotFound: there is no such key.
	NotFound
	// AlreadyExists: a key of this id exists.
	AlreadyExists
	// Disabled: the key is disabled and the operation needs an enabled one.
	Disabled
	// InvalidState: the state of the key forbids the operation.
	InvalidState
	// InUse: the key is still needed by something that is stored.
	InUse
	// Denied: the backend refused the caller's credentials.
	Denied
	// Throttled: the backend asked for fewer requests.
	Throttled
	// Unavailable: the backend cannot be reached or cannot serve now.
	Unavailable
	// Unsupported: this backend cannot do this at all.
	Unsupported
	// Crypto: something does not authenticate, or key material is damaged
	// or missing. Trying again does not help.
	Crypto
	// Configuration: the backend is set up wrongly.
	Configuration
	// NotConfigured: nobody has set up a key service. Trying again does not help.
	NotConfigured
	// BackendFailure: the backend answered what it should never answer.
	BackendFailure
	// CacheFailure: the cache of KEKs failed, whatever the backend would have said.
	CacheFailure

	kindEnd // one past the last Kind
)

// Kinds returns every Kind, ascending.
func Kinds() []Kind {
	kinds := make([]Kind, kindEnd)
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// Error returns the class in words.
func (k Kind) Error() string {
	switch k {
	case Other:
		return "key service error"
	case Invalid:
		return "invalid request"
	case NotFound:
		return "key not found"
	case AlreadyExists:
		return "key already exists"
	case Disabled:
		return "key is disabled"
	case InvalidState:
		return "key is in the wrong state"
	case InUse:
		return "key is in use"
	case Denied:
		return "access denied by the key service"
	case Throttled:
		return "key service throttles"
	case Unavailable:
		return "key service unavailable"
	case Unsupported:
		return "not supported by this key service"
	case Crypto:
		return "cryptographic failure"
	case Configuration:
		return "key service misconfigured"
	case NotConfigured:
		return "no key service is configured"
	case BackendFailure:
		return "key service failure"
	case CacheFailure:
		return "key cache failure"
	default:
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
}

// Error is the one error type of key services.
type Error struct {
	Op    string // what was asked for, such as "unwrap"
	KeyID string // may be empty
	Kind  Kind
	Err   error // the cause; may be nil
}

// Error names the operation, the key and the cause, never a secret.
func (e *Error) Error() string {
	s := "kms: " + e.Op
	if e.KeyID != "" {
		s += fmt.Sprintf(" key %q", e.KeyID)
	}
	if e.Err == nil {
		return s + ": " + e.Kind.Error()
	}
	var k Kind
	if e.Kind == Other || errors.As(e.Err, &k) {
		return s + ": " + e.Err.Error() // the cause names the class already
	}
	return s + ": " + e.Kind.Error() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, kind) true for the kind of e.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// NewError returns err as an *Error. One that is an *Error already keeps its
// operation and kind. Otherwise the kind is the one wrapped in err; the end of
// a context.Context is Unavailable; everything else is Other.
func NewError(op, keyID string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, KeyID: keyID, Kind: KindOf(err), Err: err}
}

// KindOf returns the kind of err, Other when it has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Other
}
