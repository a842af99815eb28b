package kmstest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
)

// GenerateKEK implements kms.Backend.
func (f *Fake) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	kek := cipher.NewKEK()
	var w kms.Wrapped
	err := f.do(ctx, OpGenerateKEK, keyID, func(k *fakeKey) (err error) {
		w, err = f.wrap(k, keyID, kek.Expose(), keyContext)
		return err
	})
	if err != nil {
		return nil, kms.Wrapped{}, err
	}
	return kek, w, nil
}

// Unwrap implements kms.Backend.
func (f *Fake) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kek *cipher.KEK, err error) {
	err = f.do(ctx, OpUnwrap, w.KeyID, func(k *fakeKey) (err error) {
		raw, _, err := f.unwrap(k, w, keyContext)
		if err != nil {
			return err
		}
		defer clear(raw)
		if kek, err = cipher.KEKFromBytes(raw); err != nil {
			return fmt.Errorf("%w: %w", kms.Crypto, err)
		}
		return nil
	})
	return kek, err
}

// Rewrap implements kms.Backend.
func (f *Fake) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (next kms.Wrapped, err error) {
	err = f.do(ctx, OpRewrap, w.KeyID, func(k *fakeKey) error {
		next, err = f.rewrap(k, w, keyContext)
		return err
	})
	return next, err
}

func (f *Fake) rewrap(k *fakeKey, w kms.Wrapped, keyContext []byte) (kms.Wrapped, error) {
	raw, number, err := f.unwrap(k, w, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(raw)
	next, err := f.wrap(k, w.KeyID, raw, keyContext)
	if err == nil && int(number) == len(k.versions) {
		next.Ciphertext = w.Ciphertext
	}
	return next, err
}

// RewrapBatch implements kms.BatchRewrapper. It counts as one call.
func (f *Fake) RewrapBatch(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	results := make([]kms.RewrapResult, len(items))
	err := f.enter(ctx, OpRewrapBatch, "")
	if err == nil && len(items) > kms.MaxBatch {
		err = fmt.Errorf("%w: a batch of %d", kms.Invalid, len(items))
	}
	for i, item := range items {
		itemErr := err
		if err == nil {
			itemErr = f.onKey(item.Wrapped.KeyID, func(k *fakeKey) (err error) {
				results[i].Wrapped, err = f.rewrap(k, item.Wrapped, item.Context)
				return err
			})
		}
		results[i].Err = kms.NewError(string(OpRewrap), item.Wrapped.KeyID, itemErr)
	}
	return results
}

// WrapKEK implements kms.Wrapper.
func (f *Fake) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return f.encrypt(ctx, OpWrapKEK, keyID, kek.Expose(), keyContext)
}

// Encrypt implements kms.Crypter.
func (f *Fake) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return f.encrypt(ctx, OpEncrypt, keyID, plaintext, keyContext)
}

func (f *Fake) encrypt(ctx context.Context, op Op, keyID string, plaintext, keyContext []byte) (w kms.Wrapped, err error) {
	err = f.do(ctx, op, keyID, func(k *fakeKey) error {
		if err := kms.CheckPlaintext(plaintext); err != nil {
			return err
		}
		w, err = f.wrap(k, keyID, plaintext, keyContext)
		return err
	})
	return w, err
}

// Decrypt implements kms.Crypter.
func (f *Fake) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) (plaintext []byte, err error) {
	err = f.do(ctx, OpDecrypt, w.KeyID, func(k *fakeKey) error {
		plaintext, _, err = f.unwrap(k, w, keyContext)
		return err
	})
	return plaintext, err
}

// Health implements kms.Backend.
func (f *Fake) Health(ctx context.Context) error {
	return kms.NewError(string(OpHealth), "", f.enter(ctx, OpHealth, ""))
}

// additional binds a wrapped KEK to everything but the key, which opens it.
func (f *Fake) additional(keyID string, keyContext []byte) []byte {
	ad := append(f.instance[:], byte(len(keyID)), byte(len(keyID)>>8))
	return append(append(ad, keyID...), keyContext...)
}

// wrap gives u32 version || box.
func (f *Fake) wrap(k *fakeKey, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	if err := errors.Join(kms.CheckContext(keyContext), k.state.CheckEncrypt()); err != nil {
		return kms.Wrapped{}, err
	}
	number := uint32(len(k.versions))
	master := k.versions[number-1].master
	ciphertext := binary.BigEndian.AppendUint32(nil, number)
	ciphertext = cipher.NewBox(master).Seal(ciphertext, plaintext, f.additional(keyID, keyContext))
	return kms.Wrapped{
		Instance: f.instance, KeyID: keyID, Fingerprint: master.Fingerprint(), Version: number, Ciphertext: ciphertext,
	}, nil
}

func (f *Fake) unwrap(k *fakeKey, w kms.Wrapped, keyContext []byte) ([]byte, uint32, error) {
	if err := errors.Join(w.Check(), kms.CheckContext(keyContext)); err != nil {
		return nil, 0, err
	}
	if !w.Instance.IsZero() && w.Instance != f.instance {
		return nil, 0, fmt.Errorf("%w: wrapped by backend %v, this is %v", kms.Crypto, w.Instance, f.instance)
	}
	if len(w.Ciphertext) < 4 {
		return nil, 0, fmt.Errorf("%w: a wrapped KEK of %d bytes", kms.Crypto, len(w.Ciphertext))
	}
	number := binary.BigEndian.Uint32(w.Ciphertext)
	if number < 1 || uint64(number) > uint64(len(k.versions)) || w.Version != 0 && w.Version != number {
		return nil, 0, fmt.Errorf("%w: version %d in the wrapped KEK", kms.Crypto, number)
	}
	if number < k.least {
		return nil, 0, fmt.Errorf("%w: version %d, at least %d", kms.Disabled, number, k.least)
	}
	master := k.versions[number-1].master
	if found := master.Fingerprint(); !w.Fingerprint.IsZero() && w.Fingerprint != found {
		return nil, 0, fmt.Errorf("%w: fingerprint %v, wrapped under %v", kms.Crypto, found, w.Fingerprint)
	}
	raw, err := cipher.NewBox(master).Open(nil, w.Ciphertext[4:], f.additional(w.KeyID, keyContext))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", kms.Crypto, err)
	}
	return raw, number, nil
}
