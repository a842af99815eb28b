package static

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// Origin is the origin of the key.
const Origin = "STATIC"

const (
	labelInstance = "coffer/v1/static/instance"
	labelKEK      = "coffer/v1/static/kek"
	wrapVersion   = 1
	wrapOverhead  = 1 + cipher.BoxOverhead
	keyVersion    = 1
)

var (
	_ kms.Backend = (*Static)(nil)
	_ kms.Admin   = (*Static)(nil)
	_ kms.Crypter = (*Static)(nil)
	_ kms.Wrapper = (*Static)(nil)
	_ kms.Capable = (*Static)(nil)
)

var errClosed = fmt.Errorf("%w: the key was given up", kms.Unavailable)

// Static is a backend with one key.
type Static struct {
	instance    cipher.InstanceID
	keyID       string
	fingerprint cipher.Fingerprint
	opened      time.Time

	mu     sync.RWMutex // held while master is used; Close takes it to wipe
	master *cipher.MasterKey
}

// Open makes a backend of text: the key's id, a colon, and the base64 form of
// its 32 bytes. It does not keep text. No error repeats any part of the text
// behind the id. The caller closes the backend.
func Open(text []byte) (*Static, error) {
	s, err := parse(bytes.TrimSpace(text))
	if err != nil {
		return nil, &kms.Error{Op: "read static key", Kind: kms.Configuration, Err: err}
	}
	return s, nil
}

func parse(text []byte) (*Static, error) {
	colon := bytes.LastIndexByte(text, ':') // a key id may hold colons, base64 cannot
	if colon < 0 {
		return nil, errors.New("it must have the form id:base64")
	}
	keyID := string(text[:colon])
	if err := kms.CheckKeyID(keyID); err != nil {
		return nil, errors.New("what stands before its last colon is no key id")
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)-colon-1))
	defer clear(raw)
	n, err := base64.StdEncoding.Strict().Decode(raw, text[colon+1:])
	if err != nil {
		return nil, errors.New("what stands behind its last colon is not base64") // err tells of the text
	}
	master, err := cipher.MasterKeyFromBytes(raw[:n])
	if err != nil {
		return nil, err
	}
	s := &Static{keyID: keyID, master: master, fingerprint: master.Fingerprint(), opened: time.Now()}
	id, err := hkdf.Key(sha256.New, master.Expose(), nil, labelInstance+keyID, cipher.IDSize)
	if err != nil {
		return nil, err
	}
	copy(s.instance[:], id)
	return s, nil
}

// Close wipes the key. Every later operation fails with Unavailable.
func (s *Static) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.master.Wipe()
	return nil
}

// KeyID names the one key.
func (s *Static) KeyID() string { return s.keyID }

// Instance implements kms.Backend.
func (s *Static) Instance() cipher.InstanceID { return s.instance }

// Capabilities implements kms.Capable.
func (s *Static) Capabilities() kms.Capabilities { return kms.Capabilities{Encrypt: true} }

// Health implements kms.Backend.
func (s *Static) Health(ctx context.Context) error {
	return kms.NewError("check static key", "", s.use(ctx, s.keyID, func(*cipher.Box) error { return nil }))
}

// use calls fn with the box of the key, if keyID is its id.
func (s *Static) use(ctx context.Context, keyID string, fn func(*cipher.Box) error) error {
	if err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID)); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.master.Expose() == nil {
		return errClosed
	}
	if keyID != s.keyID {
		return fmt.Errorf("%w: the static key is %q", kms.NotFound, s.keyID)
	}
	return fn(cipher.NewBox(s.master))
}

func (s *Static) additional(keyContext []byte) []byte {
	b := append([]byte(labelKEK), wrapVersion)
	b = append(b, s.instance[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.keyID)))
	b = append(b, s.keyID...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(keyContext)))
	return append(b, keyContext...)
}

func (s *Static) wrap(ctx context.Context, op, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	err := errors.Join(kms.CheckPlaintext(plaintext), kms.CheckContext(keyContext))
	var w kms.Wrapped
	if err == nil {
		err = s.use(ctx, keyID, func(box *cipher.Box) error {
			w = kms.Wrapped{Instance: s.instance, KeyID: s.keyID, Fingerprint: s.fingerprint, Version: keyVersion}
			w.Ciphertext = box.Seal([]byte{wrapVersion}, plaintext, s.additional(keyContext))
			return nil
		})
	}
	return w, kms.NewError(op, keyID, err)
}

// unwrap gives the plaintext, which the caller wipes.
func (s *Static) unwrap(ctx context.Context, op string, w kms.Wrapped, keyContext []byte) (plaintext []byte, err error) {
	err = errors.Join(w.Check(), kms.CheckContext(keyContext))
	if err == nil {
		err = s.use(ctx, w.KeyID, func(box *cipher.Box) error {
			if err := s.expect(w); err != nil {
				return err
			}
			plaintext, err = box.Open(nil, w.Ciphertext[1:], s.additional(keyContext))
			if err != nil {
				return fmt.Errorf("%w: the wrapped KEK or its context was changed: %w", kms.Crypto, err)
			}
			return nil
		})
	}
	return plaintext, kms.NewError(op, w.KeyID, err)
}

// expect compares what w says of the backend and the key with what they are.
func (s *Static) expect(w kms.Wrapped) error {
	switch n := len(w.Ciphertext); {
	case !w.Instance.IsZero() && w.Instance != s.instance:
		return fmt.Errorf("%w: wrapped by backend %v, this is %v", kms.Crypto, w.Instance, s.instance)
	case w.Version != 0 && w.Version != keyVersion:
		return fmt.Errorf("%w: a static key has no version %d", kms.Crypto, w.Version)
	case !w.Fingerprint.IsZero() && w.Fingerprint != s.fingerprint:
		return fmt.Errorf("%w: the key has fingerprint %v, wrapped under %v", kms.Crypto, s.fingerprint, w.Fingerprint)
	case n <= wrapOverhead || n > wrapOverhead+kms.MaxPlaintextSize:
		return fmt.Errorf("%w: a wrapped KEK of %d bytes", kms.Crypto, n)
	case w.Ciphertext[0] != wrapVersion:
		return fmt.Errorf("%w: wrapped KEK of unknown format %d", kms.Crypto, w.Ciphertext[0])
	}
	return nil
}
