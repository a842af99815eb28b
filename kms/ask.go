package kms

import (
	"context"
	"fmt"
	"time"

	"coffer/cipher"
)

// The functions of this file take a backend as any: whatever implements the
// interface in question is asked, everything else is Unsupported.

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{Unsupported}, args...)...)
}

// cannot is the error of a backend that has no such operation.
func cannot(op, keyID string) error { return &Error{Op: op, KeyID: keyID, Kind: Unsupported} }

// CreateKeyWith asks a Creator, and an Admin for a key with nothing but an id.
func CreateKeyWith(ctx context.Context, b any, spec KeySpec) (KeyInfo, error) {
	const op = "create key"
	if c, ok := b.(Creator); ok {
		return c.CreateKeyWith(ctx, spec)
	}
	a, ok := b.(Admin)
	if !ok {
		return KeyInfo{}, cannot(op, spec.KeyID)
	}
	full, err := spec.WithDefaults("")
	if err == nil && (full.Origin != "" || full.Description != "" || len(full.Tags) > 0) {
		err = unsupported("an origin, a description or tags")
	}
	if err != nil {
		return KeyInfo{}, NewError(op, spec.KeyID, err)
	}
	return a.CreateKey(ctx, spec.KeyID)
}

// EnableKey asks a Lifecycle.
func EnableKey(ctx context.Context, b any, keyID string) (KeyInfo, error) {
	if l, ok := b.(Lifecycle); ok {
		return l.EnableKey(ctx, keyID)
	}
	return KeyInfo{}, cannot("enable key", keyID)
}

// DisableKey asks a Lifecycle.
func DisableKey(ctx context.Context, b any, keyID string) (KeyInfo, error) {
	if l, ok := b.(Lifecycle); ok {
		return l.DisableKey(ctx, keyID)
	}
	return KeyInfo{}, cannot("disable key", keyID)
}

// ScheduleDeletion asks a Lifecycle.
func ScheduleDeletion(ctx context.Context, b any, keyID string, window time.Duration) (KeyInfo, error) {
	if l, ok := b.(Lifecycle); ok {
		return l.ScheduleDeletion(ctx, keyID, window)
	}
	return KeyInfo{}, cannot("schedule deletion of", keyID)
}

// CancelDeletion asks a Lifecycle.
func CancelDeletion(ctx context.Context, b any, keyID string) (KeyInfo, error) {
	if l, ok := b.(Lifecycle); ok {
		return l.CancelDeletion(ctx, keyID)
	}
	return KeyInfo{}, cannot("cancel deletion of", keyID)
}

// DestroyKey asks a Lifecycle.
func DestroyKey(ctx context.Context, b any, keyID string) error {
	if l, ok := b.(Lifecycle); ok {
		return l.DestroyKey(ctx, keyID)
	}
	return cannot("destroy key", keyID)
}

// SetDescription asks a Describer.
func SetDescription(ctx context.Context, b any, keyID, text string) (KeyInfo, error) {
	if d, ok := b.(Describer); ok {
		return d.SetDescription(ctx, keyID, text)
	}
	return KeyInfo{}, cannot("describe key", keyID)
}

// SetTags asks a Describer.
func SetTags(ctx context.Context, b any, keyID string, tags map[string]string) (KeyInfo, error) {
	if d, ok := b.(Describer); ok {
		return d.SetTags(ctx, keyID, tags)
	}
	return KeyInfo{}, cannot("tag key", keyID)
}

// RemoveTags asks a Describer.
func RemoveTags(ctx context.Context, b any, keyID string, names ...string) (KeyInfo, error) {
	if d, ok := b.(Describer); ok {
		return d.RemoveTags(ctx, keyID, names...)
	}
	return KeyInfo{}, cannot("untag key", keyID)
}

// SetMaxAge asks a Describer.
func SetMaxAge(ctx context.Context, b any, keyID string, age time.Duration) (KeyInfo, error) {
	if d, ok := b.(Describer); ok {
		return d.SetMaxAge(ctx, keyID, age)
	}
	return KeyInfo{}, cannot("set maximum age of", keyID)
}

// Encrypt asks a Crypter.
func Encrypt(ctx context.Context, b any, keyID string, plaintext, keyContext []byte) (Wrapped, error) {
	if c, ok := b.(Crypter); ok {
		return c.Encrypt(ctx, keyID, plaintext, keyContext)
	}
	return Wrapped{}, cannot("encrypt", keyID)
}

// Decrypt asks a Crypter.
func Decrypt(ctx context.Context, b any, w Wrapped, keyContext []byte) ([]byte, error) {
	if c, ok := b.(Crypter); ok {
		return c.Decrypt(ctx, w, keyContext)
	}
	return nil, cannot("decrypt", w.KeyID)
}

// DecryptBlob is Decrypt of Wrapped.Blob alone: it needs nothing else, neither a
// key id nor a version.
func DecryptBlob(ctx context.Context, b any, blob, keyContext []byte) ([]byte, error) {
	keyID, ciphertext, err := ParseBlob(blob)
	if err != nil {
		return nil, NewError("decrypt", "", err)
	}
	return Decrypt(ctx, b, Wrapped{KeyID: keyID, Ciphertext: ciphertext}, keyContext)
}

// WrapKEK asks a Wrapper, else a Crypter.
func WrapKEK(ctx context.Context, b any, keyID string, kek *cipher.KEK, keyContext []byte) (Wrapped, error) {
	if w, ok := b.(Wrapper); ok {
		return w.WrapKEK(ctx, keyID, kek, keyContext)
	}
	return Encrypt(ctx, b, keyID, kek.Expose(), keyContext)
}

// RewrapBatch asks a BatchRewrapper in batches of MaxBatch, else Rewrap one by
// one. It takes any number of items.
func RewrapBatch(ctx context.Context, b Backend, items []RewrapItem) []RewrapResult {
	results := make([]RewrapResult, 0, len(items))
	many, ok := b.(BatchRewrapper)
	for ok && len(items) > 0 {
		n := min(MaxBatch, len(items))
		results = append(results, many.RewrapBatch(ctx, items[:n])...)
		items = items[n:]
	}
	for _, item := range items {
		w, err := b.Rewrap(ctx, item.Wrapped, item.Context)
		results = append(results, RewrapResult{Wrapped: w, Err: err})
	}
	return results
}

// ReportOf asks a Reporter; the zero Report is that of everything else.
func ReportOf(b any) Report {
	if r, ok := b.(Reporter); ok {
		return r.Report()
	}
	return Report{}
}

// Capabilities says what a backend can do beyond Backend.
type Capabilities struct {
	Create    bool // keys, and rotate them
	Lifecycle bool // enable, disable, delete
	Describe  bool // descriptions, tags, maximum age
	Encrypt   bool // values of a caller's own
	Batch     bool // rewrap in batches
}

// Capable is a backend that knows better what it can do than its interfaces
// tell.
type Capable interface {
	Capabilities() Capabilities
}

// CapabilitiesOf asks a Capable, else tells what b implements.
func CapabilitiesOf(b any) Capabilities {
	if c, ok := b.(Capable); ok {
		return c.Capabilities()
	}
	var c Capabilities
	_, c.Create = b.(Admin)
	_, c.Lifecycle = b.(Lifecycle)
	_, c.Describe = b.(Describer)
	_, c.Encrypt = b.(Crypter)
	_, c.Batch = b.(BatchRewrapper)
	return c
}
