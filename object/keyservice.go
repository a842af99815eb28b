package object

import (
	"context"

	"coffer/cipher"
	"coffer/kms"
)

// KeyService is what the engine needs of key backends. Its errors are those of package kms; Unwrap keeps KEKs for a
// while, so that reading an object again makes no call.
type KeyService interface {
	KEKs
	Rewrapper
}

// KEKs makes and opens KEKs.
type KEKs interface {
	// Resolve names the key that a new object of the mode uses, without a call to a backend: keyID, or the default
	// where it is "". For SSE-S3 keyID is "".
	Resolve(ctx context.Context, mode cipher.Mode, keyID string) (kms.KeyRef, error)
	// GenerateKEK makes a KEK under that key and wraps it.
	GenerateKEK(ctx context.Context, mode cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error)
	// Unwrap gives back a KEK, whichever backend instance wrapped it. It is the caller's, who wipes it.
	Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error)
	// CheckEncrypt fails with kms.Disabled or kms.InvalidState where it is known that nothing new may be sealed under a
	// key, though what it has wrapped can be unwrapped.
	CheckEncrypt(ctx context.Context, ref kms.KeyRef) error
}

// Rewrapper wraps KEKs anew.
type Rewrapper interface {
	// Rewrap wraps KEKs by the newest versions of their keys, in as few calls as the backends allow. It returns one
	// result for each item.
	Rewrap(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult
	// Move wraps a KEK by a key of another backend, or of the same.
	Move(ctx context.Context, w kms.Wrapped, keyContext []byte, to kms.KeyRef) (kms.Wrapped, error)
	// NewestVersion tells the newest version of a key.
	NewestVersion(ctx context.Context, instance cipher.InstanceID, keyID string) (uint32, error)
}

// SingleKey is the KeyService of one backend and one key of it, for every mode. SSE-KMS may name other keys of the
// backend.
type SingleKey struct {
	Backend Backend
	KeyID   string
}

// Backend is a key backend whose keys can be described.
type Backend interface {
	kms.Backend
	kms.Admin
}

// Resolve implements KeyService.
func (s SingleKey) Resolve(_ context.Context, _ cipher.Mode, keyID string) (kms.KeyRef, error) {
	return kms.KeyRef{Instance: s.Backend.Instance(), KeyID: s.key(keyID)}, nil
}

// GenerateKEK implements KeyService.
func (s SingleKey) GenerateKEK(ctx context.Context, _ cipher.Mode, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	return s.Backend.GenerateKEK(ctx, s.key(keyID), keyContext)
}

// Unwrap implements KeyService.
func (s SingleKey) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	return s.Backend.Unwrap(ctx, w, keyContext)
}

// CheckEncrypt implements KeyService.
func (s SingleKey) CheckEncrypt(ctx context.Context, ref kms.KeyRef) error {
	return kms.CheckEncrypt(ctx, s.Backend, ref.KeyID)
}

// Rewrap implements KeyService.
func (s SingleKey) Rewrap(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	return kms.RewrapBatch(ctx, s.Backend, items)
}

// Move implements KeyService.
func (s SingleKey) Move(ctx context.Context, w kms.Wrapped, keyContext []byte, to kms.KeyRef) (kms.Wrapped, error) {
	kek, err := s.Backend.Unwrap(ctx, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer kek.Wipe()
	return kms.WrapKEK(ctx, s.Backend, s.key(to.KeyID), kek, keyContext)
}

// NewestVersion implements KeyService.
func (s SingleKey) NewestVersion(ctx context.Context, _ cipher.InstanceID, keyID string) (uint32, error) {
	info, err := s.Backend.DescribeKey(ctx, keyID)
	return info.Newest().Number, err
}

func (s SingleKey) key(keyID string) string {
	if keyID == "" {
		return s.KeyID
	}
	return keyID
}
