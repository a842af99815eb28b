package kms

import (
	"context"

	"coffer/cipher"
)

// Limits of what a backend is asked to handle. A backend refuses what exceeds
// them with Kind Invalid, before it allocates or calls out.
const (
	// MaxKeyIDSize is the longest key id in bytes.
	MaxKeyIDSize = 256
	// MaxContextSize is the longest context in bytes: 8 KiB of a client's
	// entries and room for the entries of the server.
	MaxContextSize = 12 << 10
	// MaxCiphertextSize is the longest backend ciphertext in bytes.
	MaxCiphertextSize = 16 << 10
)

// Backend is the data path of a key service: what reading and writing objects
// needs, and no more. The administration of keys is Admin.
//
// Every error is an *Error.
type Backend interface {
	// Instance names the backend across changes of its address or credentials.
	// It is made when the backend is first configured and stands in every
	// Wrapped that the backend returns.
	Instance() cipher.InstanceID

	// GenerateKEK makes a fresh random KEK and wraps it under the newest version
	// of the key. It fails with NotFound, Disabled or InvalidState when the key
	// may not encrypt.
	GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, Wrapped, error)

	// Unwrap gives back the KEK that w wraps, whatever version of the key wrapped
	// it, and also while the key is disabled or waits for its deletion. A zero
	// Instance, Version or Fingerprint in w means that the caller does not know it; a
	// non-zero one must be that of the key found. A w or context that differs
	// from what GenerateKEK saw is refused with Crypto.
	Unwrap(ctx context.Context, w Wrapped, keyContext []byte) (*cipher.KEK, error)

	// Rewrap wraps the KEK inside w under the newest version of the same key.
	// When w stands at the newest version already, w comes back unchanged (with
	// Version and Fingerprint filled in). The KEK and the context stay the same.
	// It needs a key that may encrypt, as GenerateKEK does.
	Rewrap(ctx context.Context, w Wrapped, keyContext []byte) (Wrapped, error)

	// Health reports whether the backend can serve all of its keys now.
	Health(ctx context.Context) error
}

// Admin is the administration of the keys of a backend. More of it is in
// Creator, Lifecycle and Describer.
//
// Every error is an *Error.
type Admin interface {
	// CreateKey makes a key with one version. It fails with AlreadyExists when
	// the key exists in any state, and never replaces key material.
	CreateKey(ctx context.Context, keyID string) (KeyInfo, error)

	// DescribeKey fails with NotFound when there is no such key.
	DescribeKey(ctx context.Context, keyID string) (KeyInfo, error)

	// ListKeys returns keys in ascending byte order of their ids, beginning with
	// the first id greater than after. A limit below 1 or above MaxListedKeys
	// means MaxListedKeys.
	ListKeys(ctx context.Context, after string, limit int) (KeyPage, error)

	// RotateKey makes a new version of the key, which wraps from then on. Older
	// versions stay for Unwrap and nothing that they wrapped is touched.
	RotateKey(ctx context.Context, keyID string) (KeyInfo, error)
}

// MaxListedKeys is the longest page of ListKeys.
const MaxListedKeys = 1000
