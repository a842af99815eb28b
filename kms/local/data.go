package local

import (
	"context"
	"errors"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
)

var errClosed = fmt.Errorf("%w: the keyring is closed", kms.Unavailable)

// GenerateKEK implements kms.Backend.
func (k *Keyring) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek := cipher.NewKEK()
	w, err := k.wrap(ctx, keyID, kek.Expose(), keyContext)
	if err != nil {
		kek.Wipe()
		return nil, kms.Wrapped{}, kms.NewError("generate KEK", keyID, err)
	}
	return kek, w, nil
}

// WrapKEK implements kms.Wrapper.
func (k *Keyring) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return k.encrypt(ctx, "wrap KEK", keyID, kek.Expose(), keyContext)
}

// Encrypt implements kms.Crypter.
func (k *Keyring) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return k.encrypt(ctx, "encrypt", keyID, plaintext, keyContext)
}

func (k *Keyring) encrypt(ctx context.Context, op, keyID string, plaintext, keyContext []byte) (w kms.Wrapped, err error) {
	if err = kms.CheckPlaintext(plaintext); err == nil {
		w, err = k.wrap(ctx, keyID, plaintext, keyContext)
	}
	return w, kms.NewError(op, keyID, err)
}

// Decrypt implements kms.Crypter.
func (k *Keyring) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, error) {
	plaintext, _, err := k.unwrap(ctx, w, keyContext)
	return plaintext, kms.NewError("decrypt", w.KeyID, err)
}

// Unwrap implements kms.Backend. A zero Instance in w is not compared, since it
// is bound to the ciphertext anyway.
func (k *Keyring) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	raw, _, err := k.unwrap(ctx, w, keyContext)
	defer clear(raw)
	var kek *cipher.KEK
	if err == nil {
		kek, err = asKEK(raw)
	}
	if err != nil {
		return nil, kms.NewError("unwrap KEK", w.KeyID, err)
	}
	return kek, nil
}

// Rewrap implements kms.Backend.
func (k *Keyring) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	next, err := k.rewrap(ctx, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, kms.NewError("rewrap KEK", w.KeyID, err)
	}
	return next, nil
}

// RewrapBatch implements kms.BatchRewrapper. It costs what Rewrap costs each.
func (k *Keyring) RewrapBatch(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	results := make([]kms.RewrapResult, len(items))
	for i, item := range items {
		if i >= kms.MaxBatch {
			results[i].Err = kms.NewError("rewrap KEK", item.Wrapped.KeyID,
				fmt.Errorf("%w: a batch of %d, more than %d", kms.Invalid, len(items), kms.MaxBatch))
			continue
		}
		results[i].Wrapped, results[i].Err = k.Rewrap(ctx, item.Wrapped, item.Context)
	}
	return results
}

func (k *Keyring) rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	raw, old, err := k.unwrap(ctx, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(raw)
	info, err := k.describe(ctx, w.KeyID)
	if err != nil {
		return kms.Wrapped{}, err
	}
	if err := info.State.CheckEncrypt(); err != nil {
		return kms.Wrapped{}, err
	}
	if old.Number == info.Newest().Number {
		w.Instance, w.Version, w.Fingerprint = k.instance, old.Number, old.Fingerprint
		return w, nil
	}
	return k.wrap(ctx, w.KeyID, raw, keyContext)
}

// wrap wraps a plaintext under the newest version of the key.
func (k *Keyring) wrap(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	if err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID), kms.CheckContext(keyContext)); err != nil {
		return kms.Wrapped{}, err
	}
	var w kms.Wrapped
	err := k.use(keyID, func(r *keyRecord) error {
		if err := r.state.CheckEncrypt(); err != nil {
			return err
		}
		v := r.newest()
		w = kms.Wrapped{
			Instance: k.instance, KeyID: keyID, Fingerprint: v.master.Fingerprint(), Version: v.number,
			Ciphertext: seal(v.master, plaintext, wrapContext{k.instance, keyID, v.number, keyContext}),
		}
		return nil
	})
	return w, err
}

// unwrap gives the plaintext, which the caller wipes, and the version that
// wraps it.
func (k *Keyring) unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, kms.KeyVersion, error) {
	var version kms.KeyVersion
	if err := errors.Join(ctx.Err(), w.Check(), kms.CheckContext(keyContext)); err != nil {
		return nil, version, err
	}
	if !w.Instance.IsZero() && w.Instance != k.instance {
		return nil, version, fmt.Errorf("%w: wrapped by backend %v, this is %v", kms.Crypto, w.Instance, k.instance)
	}
	number, err := wrappedVersion(w.Ciphertext)
	if err != nil {
		return nil, version, err
	}
	if w.Version != 0 && w.Version != number {
		return nil, version, fmt.Errorf("%w: wrapped by version %d, the record says %d", kms.Crypto, number, w.Version)
	}
	var plaintext []byte
	err = k.use(w.KeyID, func(r *keyRecord) error {
		v, err := k.expect(r, number, w.Fingerprint)
		if err != nil {
			return err
		}
		version = v.info()
		plaintext, err = unseal(v.master, w.Ciphertext, wrapContext{k.instance, w.KeyID, number, keyContext})
		return err
	})
	return plaintext, version, err
}

// expect finds a version and compares its fingerprint, where one is given.
func (k *Keyring) expect(r *keyRecord, number uint32, want cipher.Fingerprint) (masterVersion, error) {
	v, ok := r.version(number)
	if !ok {
		return v, fmt.Errorf("%w: keyring file %s has no version %d (fingerprint %v) of the key; its newest is %d: "+
			"restore this file from a newer backup", kms.Crypto, k.files.path(k.files.keyName(r.id)), number, want, r.newest().number)
	}
	if found := v.master.Fingerprint(); !want.IsZero() && found != want {
		return v, fmt.Errorf("%w: version %d of the key has fingerprint %v, wrapped under %v: "+
			"the key was made anew under its old id; restore keyring file %s from a backup",
			kms.Crypto, number, found, want, k.files.path(k.files.keyName(r.id)))
	}
	return v, nil
}

// Health implements kms.Backend: it reads every file of the keyring.
func (k *Keyring) Health(ctx context.Context) error {
	return kms.NewError("check keyring", "", k.health(ctx))
}

func (k *Keyring) health(ctx context.Context) error {
	k.mu.RLock()
	ids, strays, closed := k.record.keyIDs, k.strays, k.closed
	k.mu.RUnlock()
	if closed {
		return errClosed
	}
	errs := append([]error{}, strays...)
	if body, err := k.files.read(instanceName, kindInstance); err != nil {
		errs = append(errs, err)
	} else if r, err := k.codec.decodeInstance(body); err != nil || r.instance != k.instance {
		errs = append(errs, k.files.fault(instanceName, kms.Crypto, ErrDamaged))
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := k.readKey(k.files.keyName(id))
		if errors.Is(err, errDestroyed) {
			continue // about to leave the list
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", id, err))
			continue
		}
		r.wipe()
	}
	return errors.Join(errs...)
}
