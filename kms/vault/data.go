package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"coffer/cipher"
	"coffer/kms"
)

// kekBits is the size of a KEK, as datakey takes it.
const kekBits = 8 * cipher.KeySize

// transitItem is what Transit takes to encrypt, open or rewrap one thing.
type transitItem struct {
	Plaintext  []byte `json:"plaintext,omitempty"`
	Ciphertext string `json:"ciphertext,omitempty"`
	Context    string `json:"context"`
	Bits       int    `json:"bits,omitempty"`
	Reference  string `json:"reference,omitempty"` // comes back with the result
}

// transitAnswer is what it gives back.
type transitAnswer struct {
	Data struct {
		Plaintext    []byte        `json:"plaintext"`
		Ciphertext   string        `json:"ciphertext"`
		BatchResults []batchResult `json:"batch_results"`
	} `json:"data"`
}

// use calls an endpoint below the mount for one key.
func (b *Backend) use(ctx context.Context, endpoint, keyID string, keyContext []byte, item transitItem) (transitAnswer, error) {
	item.Context = encodeContext(keyContext)
	c := b.useCall(endpoint, keyID)
	c.body = item
	c.private = append(privateContext(keyContext), string(item.Plaintext))
	var answer transitAnswer
	err := b.do(ctx, c, &answer)
	return answer, err
}

func (b *Backend) useCall(endpoint, keyID string) call {
	path := b.options.Mount + "/" + endpoint + "/" + nameOf(keyID)
	return call{method: http.MethodPut, path: path, engine: "Transit"}
}

// privateContext lists the forms of a context that no error shows.
func privateContext(keyContext []byte) []string {
	return []string{string(keyContext), encodeContext(keyContext)}
}

// GenerateKEK implements kms.Backend. It never makes a key.
func (b *Backend) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	var kek *cipher.KEK
	var w kms.Wrapped
	err := b.operate(ctx, "generate KEK", keyID, false, func(ctx context.Context) error {
		if err := errors.Join(kms.CheckKeyID(keyID), kms.CheckContext(keyContext)); err != nil {
			return err
		}
		if err := b.states.checkEncrypt(ctx, keyID); err != nil {
			return err
		}
		made, err := b.use(ctx, "datakey/plaintext", keyID, keyContext, transitItem{Bits: kekBits})
		defer clear(made.Data.Plaintext)
		if err != nil {
			return err
		}
		if w, err = b.wrapped(keyID, made.Data.Ciphertext); err != nil {
			return err
		}
		kek, err = toKEK(made.Data.Plaintext)
		return err
	})
	if err != nil {
		return nil, kms.Wrapped{}, err
	}
	return kek, w, nil
}

func toKEK(plaintext []byte) (*cipher.KEK, error) {
	kek, err := cipher.KEKFromBytes(plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: what Vault gave is no KEK: %w", kms.Crypto, err)
	}
	return kek, nil
}

// CheckEncrypt implements kms.Gate. It does not see whether Transit has the key.
func (b *Backend) CheckEncrypt(ctx context.Context, keyID string) error {
	return b.operate(ctx, "check key", keyID, false, func(ctx context.Context) error { return b.states.checkEncrypt(ctx, keyID) })
}

// Encrypt implements kms.Crypter.
func (b *Backend) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return b.encrypt(ctx, "encrypt", keyID, plaintext, keyContext)
}

// WrapKEK implements kms.Wrapper.
func (b *Backend) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return b.encrypt(ctx, "wrap KEK", keyID, kek.Expose(), keyContext)
}

func (b *Backend) encrypt(ctx context.Context, op, keyID string, plaintext, keyContext []byte) (w kms.Wrapped, err error) {
	err = b.operate(ctx, op, keyID, false, func(ctx context.Context) error {
		err := errors.Join(kms.CheckKeyID(keyID), kms.CheckContext(keyContext), kms.CheckPlaintext(plaintext))
		if err == nil {
			err = b.states.checkEncrypt(ctx, keyID)
		}
		if err == nil {
			err = b.mustExist(ctx, keyID)
		}
		if err != nil {
			return err
		}
		made, err := b.use(ctx, "encrypt", keyID, keyContext, transitItem{Plaintext: plaintext})
		if err != nil {
			return err
		}
		w, err = b.wrapped(keyID, made.Data.Ciphertext)
		return err
	})
	if err != nil {
		return kms.Wrapped{}, err
	}
	return w, nil
}

// mustExist looks for a key before encrypt, which makes one that is missing when
// the token may. A token that may not read keys is not expected to make any.
func (b *Backend) mustExist(ctx context.Context, keyID string) error {
	if _, err := b.transitKey(ctx, keyID, true); kindIn(err) != kms.Denied {
		return err
	}
	return nil
}

// Unwrap implements kms.Backend.
func (b *Backend) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (kek *cipher.KEK, err error) {
	plaintext, err := b.decrypt(ctx, "unwrap KEK", w, keyContext)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	kek, err = toKEK(plaintext)
	return kek, newError("unwrap KEK", w.KeyID, err)
}

// Decrypt implements kms.Crypter.
func (b *Backend) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, error) {
	return b.decrypt(ctx, "decrypt", w, keyContext)
}

func (b *Backend) decrypt(ctx context.Context, op string, w kms.Wrapped, keyContext []byte) (plaintext []byte, err error) {
	err = b.operate(ctx, op, w.KeyID, false, func(ctx context.Context) error {
		version, err := b.checkWrapped(w, keyContext)
		if err != nil {
			return err
		}
		opened, err := b.use(ctx, "decrypt", w.KeyID, keyContext, transitItem{Ciphertext: string(w.Ciphertext)})
		plaintext = opened.Data.Plaintext
		if err != nil {
			return err
		}
		return b.checkFingerprint(w, version)
	})
	if err != nil {
		clear(plaintext)
		return nil, err
	}
	return plaintext, nil
}

// Rewrap implements kms.Backend. It asks Vault even for a w at the newest
// version: which one that is, a least token cannot read.
func (b *Backend) Rewrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (next kms.Wrapped, err error) {
	err = b.operate(ctx, "rewrap KEK", w.KeyID, false, func(ctx context.Context) error {
		version, err := b.checkWrapped(w, keyContext)
		if err != nil {
			return err
		}
		if err := b.states.checkEncrypt(ctx, w.KeyID); err != nil {
			return err
		}
		made, err := b.use(ctx, "rewrap", w.KeyID, keyContext, transitItem{Ciphertext: string(w.Ciphertext)})
		if err != nil {
			return err
		}
		next, err = b.rewrapped(w, version, made.Data.Ciphertext)
		return err
	})
	if err != nil {
		return kms.Wrapped{}, err
	}
	return next, nil
}

// rewrapped returns what replaces w: w itself when Vault has wrapped it under
// the same version again.
func (b *Backend) rewrapped(w kms.Wrapped, version uint32, ciphertext string) (kms.Wrapped, error) {
	if err := b.checkFingerprint(w, version); err != nil {
		return kms.Wrapped{}, err
	}
	next, err := b.wrapped(w.KeyID, ciphertext)
	if err == nil && next.Version == version {
		next.Ciphertext = append([]byte(nil), w.Ciphertext...)
	}
	return next, err
}
