package base

import (
	"context"
	"errors"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
)

// Data implements kms.Crypter, kms.Wrapper, kms.BatchRewrapper and, but for
// Instance and Health, kms.Backend.
type Data struct {
	// Seal seals plaintext under the newest version of a key, so that it opens
	// with the same context alone. A key that may not encrypt is Disabled or
	// InvalidState.
	Seal func(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error)
	// Open is the inverse, in every state of the key and for every version. What is
	// not zero in w must be true of the key that is found; else it is Crypto.
	Open func(ctx context.Context, w kms.Wrapped, keyContext []byte) (Opened, error)
}

// Opened is what Data.Open gives.
type Opened struct {
	Plaintext []byte // the caller's
	Newest    bool   // the newest version has sealed it
}

// seal checks what goes to Seal.
func (d Data) seal(ctx context.Context, op, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID), kms.CheckPlaintext(plaintext), kms.CheckContext(keyContext))
	var w kms.Wrapped
	if err == nil {
		w, err = d.Seal(ctx, keyID, plaintext, keyContext)
	}
	if err != nil {
		return kms.Wrapped{}, kms.NewError(op, keyID, err)
	}
	return w, nil
}

// open checks what goes to Open.
func (d Data) open(ctx context.Context, op string, w kms.Wrapped, keyContext []byte) (Opened, error) {
	err := errors.Join(ctx.Err(), w.Check(), kms.CheckContext(keyContext))
	var o Opened
	if err == nil {
		o, err = d.Open(ctx, w, keyContext)
	}
	if err != nil {
		clear(o.Plaintext)
		return Opened{}, kms.NewError(op, w.KeyID, err)
	}
	return o, nil
}

// GenerateKEK implements kms.Backend.
func (d Data) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek := cipher.NewKEK()
	w, err := d.seal(ctx, "generate KEK", keyID, kek.Expose(), keyContext)
	if err != nil {
		kek.Wipe()
		return nil, kms.Wrapped{}, err
	}
	return kek, w, nil
}

// Unwrap implements kms.Backend.
func (d Data) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	const op = "unwrap KEK"
	o, err := d.open(ctx, op, w, keyContext)
	if err != nil {
		return nil, err
	}
	defer clear(o.Plaintext)
	kek, err := cipher.KEKFromBytes(o.Plaintext)
	if err != nil {
		return nil, kms.NewError(op, w.KeyID, fmt.Errorf("%w: it wraps no KEK: %w", kms.Crypto, err))
	}
	return kek, nil
}

// Rewrap implements kms.Backend. What stands at the newest version is sealed all
// the same, to see whether the key may encrypt, and keeps its ciphertext.
func (d Data) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	const op = "rewrap KEK"
	o, err := d.open(ctx, op, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(o.Plaintext)
	next, err := d.seal(ctx, op, w.KeyID, o.Plaintext, keyContext)
	if err == nil && o.Newest {
		next.Ciphertext = w.Ciphertext
	}
	return next, err
}

// RewrapBatch implements kms.BatchRewrapper.
func (d Data) RewrapBatch(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	results := make([]kms.RewrapResult, len(items))
	for i, item := range items {
		if i < kms.MaxBatch {
			results[i].Wrapped, results[i].Err = d.Rewrap(ctx, item.Wrapped, item.Context)
			continue
		}
		err := fmt.Errorf("%w: a batch of %d, more than %d", kms.Invalid, len(items), kms.MaxBatch)
		results[i].Err = kms.NewError("rewrap KEK", item.Wrapped.KeyID, err)
	}
	return results
}

// WrapKEK implements kms.Wrapper.
func (d Data) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return d.seal(ctx, "wrap KEK", keyID, kek.Expose(), keyContext)
}

// Encrypt implements kms.Crypter.
func (d Data) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return d.seal(ctx, "encrypt", keyID, plaintext, keyContext)
}

// Decrypt implements kms.Crypter.
func (d Data) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, error) {
	o, err := d.open(ctx, "decrypt", w, keyContext)
	return o.Plaintext, err
}
