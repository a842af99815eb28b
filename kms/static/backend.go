package static

import (
	"context"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
)

// GenerateKEK implements kms.Backend.
func (s *Static) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek := cipher.NewKEK()
	w, err := s.wrap(ctx, "generate KEK", keyID, kek.Expose(), keyContext)
	if err != nil {
		kek.Wipe()
		return nil, kms.Wrapped{}, err
	}
	return kek, w, nil
}

// Unwrap implements kms.Backend.
func (s *Static) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	const op = "unwrap KEK"
	raw, err := s.unwrap(ctx, op, w, keyContext)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	kek, err := cipher.KEKFromBytes(raw)
	if err != nil {
		return nil, kms.NewError(op, w.KeyID, fmt.Errorf("%w: it wraps no KEK: %w", kms.Crypto, err))
	}
	return kek, nil
}

// Rewrap implements kms.Backend: the one version is the newest.
func (s *Static) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	raw, err := s.unwrap(ctx, "rewrap KEK", w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	clear(raw)
	w.Instance, w.Version, w.Fingerprint = s.instance, keyVersion, s.fingerprint
	return w, nil
}

// WrapKEK implements kms.Wrapper.
func (s *Static) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return s.wrap(ctx, "wrap KEK", keyID, kek.Expose(), keyContext)
}

// Encrypt implements kms.Crypter.
func (s *Static) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return s.wrap(ctx, "encrypt", keyID, plaintext, keyContext)
}

// Decrypt implements kms.Crypter.
func (s *Static) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, error) {
	return s.unwrap(ctx, "decrypt", w, keyContext)
}

// CreateKey implements kms.Admin: there is one key, and never another.
func (s *Static) CreateKey(_ context.Context, keyID string) (kms.KeyInfo, error) {
	kind := kms.Unsupported
	if keyID == s.keyID {
		kind = kms.AlreadyExists
	}
	return kms.KeyInfo{}, &kms.Error{Op: "create key", KeyID: keyID, Kind: kind}
}

// RotateKey implements kms.Admin: the key has one version.
func (s *Static) RotateKey(_ context.Context, keyID string) (kms.KeyInfo, error) {
	return kms.KeyInfo{}, &kms.Error{Op: "rotate key", KeyID: keyID, Kind: kms.Unsupported}
}

// DescribeKey implements kms.Admin. When the key was made is not known: the
// times are those of Open.
func (s *Static) DescribeKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = s.use(ctx, keyID, func(*cipher.Box) error {
		info = s.info()
		return nil
	})
	return info, kms.NewError("describe key", keyID, err)
}

func (s *Static) info() kms.KeyInfo {
	return kms.KeyInfo{
		ID: s.keyID, State: kms.StateEnabled, Created: s.opened, Origin: Origin,
		Algorithm: kms.AlgorithmAES256, Usage: kms.UsageEncryptDecrypt,
		Versions: []kms.KeyVersion{{Number: keyVersion, Fingerprint: s.fingerprint, Created: s.opened}},
	}
}

// ListKeys implements kms.Admin.
func (s *Static) ListKeys(ctx context.Context, after string, _ int) (page kms.KeyPage, err error) {
	err = s.use(ctx, s.keyID, func(*cipher.Box) error {
		if after < s.keyID {
			page.Keys = []kms.KeyInfo{s.info()}
		}
		return nil
	})
	return page, kms.NewError("list keys", "", err)
}
