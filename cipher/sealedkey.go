package cipher

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// Mode says who provides the key above a DataKey.
type Mode uint8

// The modes of server-side encryption.
const (
	ModeSSES3  Mode = 1 // the bucket's KEK, wrapped by the built-in keyring
	ModeSSEKMS Mode = 2 // a KEK of the configured KMS: the object's own, or the bucket's
	ModeSSEC   Mode = 3 // the client's key, which is stored nowhere
)

// String returns the usual name of the mode.
func (m Mode) String() string {
	switch m {
	case ModeSSES3:
		return "SSE-S3"
	case ModeSSEKMS:
		return "SSE-KMS"
	case ModeSSEC:
		return "SSE-C"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Limits of a SealedKey, in bytes.
const (
	MaxWrapped = 8 << 10
	MaxContext = 12 << 10
)

// Binding is where a DataKey belongs. Names are not part of it, so that a rename costs no sealing.
type Binding struct {
	Store  StoreID
	Bucket BucketID
	Object ObjectID
}

// SealedKey is what a record keeps of a DataKey: how to come by its KEK, and the DataKey sealed under that.
//
// Mode and Context are bound to the DataKey; the rest only finds the KEK, and changes with a rewrap while the sealed
// DataKey stays. The seal of the record guards all of it together.
type SealedKey struct {
	Mode           Mode
	Instance       InstanceID  // the backend that wrapped the KEK
	KeyFingerprint Fingerprint // of the MasterKey
	KeyVersion     uint32      // of the MasterKey
	Generation     uint32      // of the bucket's KEK; 0: the KEK is in Wrapped (SSE-KMS) or the client's (SSE-C)
	Wrapped        []byte      // the wrapped KEK: 32-bit big-endian length, key id, ciphertext of the backend
	Context        []byte      // exactly as sealed

	salt   [sealedSaltSize]byte
	nonce  [gcmNonceSize]byte
	sealed [KeySize + gcmTagSize]byte
}

const (
	sealedKeyFormat = 1
	sealedSaltSize  = 32
)

// Seal seals dk under kek for the place b, with Mode and Context as they are now. It touches no exported field, and
// none at all when it fails: ErrKey, ErrFormat for an unknown Mode, ErrSize for too long a Context.
func (s *SealedKey) Seal(kek *KEK, dk *DataKey, b Binding) error {
	if err := s.seal(kek, dk, b, rand.Reader); err != nil {
		return fmt.Errorf("seal data key: %w", err)
	}
	return nil
}

// seal takes the source of salt and nonce, which tests of golden files fix.
func (s *SealedKey) seal(kek *KEK, dk *DataKey, b Binding, random io.Reader) error {
	if err := s.checkBound(); err != nil {
		return err
	}
	outer, inner, err := bothUsable(kek, dk)
	if err != nil {
		return err
	}
	var fresh [sealedSaltSize + gcmNonceSize]byte
	if _, err := io.ReadFull(random, fresh[:]); err != nil {
		return fmt.Errorf("random numbers: %w", err)
	}
	copy(s.salt[:], fresh[:sealedSaltSize])
	copy(s.nonce[:], fresh[sealedSaltSize:])
	key := s.sealingKey(outer, b)
	defer clear(key)
	newGCM(key).Seal(s.sealed[:0], s.nonce[:], inner, s.additional(b))
	return nil
}

// Open returns the DataKey. It is ErrAuth when kek, b, Mode or Context are not those of Seal, or anything that was
// sealed has changed.
func (s *SealedKey) Open(kek *KEK, b Binding) (*DataKey, error) {
	dk, err := s.open(kek, b)
	if err != nil {
		return nil, fmt.Errorf("open data key: %w", err)
	}
	return dk, nil
}

func (s *SealedKey) open(kek *KEK, b Binding) (*DataKey, error) {
	if err := s.checkBound(); err != nil {
		return nil, err
	}
	if kek == nil {
		return nil, fmt.Errorf("%w: no kek", ErrKey)
	}
	outer, err := kek.usable()
	if err != nil {
		return nil, err
	}
	key := s.sealingKey(outer, b)
	defer clear(key)
	dk := &DataKey{emptySecret()}
	if _, err := newGCM(key).Open(dk.m.bytes[:0], s.nonce[:], s.sealed[:], s.additional(b)); err != nil {
		return nil, ErrAuth
	}
	return dk, nil
}

func bothUsable(kek *KEK, dk *DataKey) (outer, inner []byte, err error) {
	if kek == nil || dk == nil {
		return nil, nil, fmt.Errorf("%w: none given", ErrKey)
	}
	if outer, err = kek.usable(); err != nil {
		return nil, nil, err
	}
	if inner, err = dk.usable(); err != nil {
		return nil, nil, err
	}
	return outer, inner, nil
}

// sealingKey derives the key of this one seal.
func (s *SealedKey) sealingKey(kek []byte, b Binding) []byte {
	info := infoDataKey + string([]byte{byte(s.Mode)}) + string(b.Object[:])
	return hkdfSHA256(kek, s.salt[:], info, KeySize)
}

// additional lists what is bound to the DataKey beside its key.
func (s *SealedKey) additional(b Binding) []byte {
	ad := make([]byte, 0, 2+3*IDSize+4+len(s.Context))
	ad = append(ad, sealedKeyFormat, byte(s.Mode))
	ad = append(ad, b.Store[:]...)
	ad = append(ad, b.Bucket[:]...)
	ad = append(ad, b.Object[:]...)
	return appendSized(ad, s.Context)
}

// checkBound checks what Seal binds.
func (s *SealedKey) checkBound() error {
	switch {
	case s.Mode != ModeSSES3 && s.Mode != ModeSSEKMS && s.Mode != ModeSSEC:
		return fmt.Errorf("%w: %v", ErrFormat, s.Mode)
	case len(s.Context) > MaxContext:
		return fmt.Errorf("%w: context of %d bytes", ErrSize, len(s.Context))
	}
	return nil
}

// Nonce and Tag return copies of what AES-256-GCM sealed the DataKey with and left behind. Neither is secret.
func (s *SealedKey) Nonce() []byte { return bytes.Clone(s.nonce[:]) }

// Tag is described at Nonce.
func (s *SealedKey) Tag() []byte { return bytes.Clone(s.sealed[KeySize:]) }

// Equal reports whether two sealed keys have the same encoding.
func (s SealedKey) Equal(o SealedKey) bool {
	return s.Mode == o.Mode && s.Instance == o.Instance && s.KeyFingerprint == o.KeyFingerprint &&
		s.KeyVersion == o.KeyVersion && s.Generation == o.Generation &&
		bytes.Equal(s.Wrapped, o.Wrapped) && bytes.Equal(s.Context, o.Context) &&
		s.salt == o.salt && s.nonce == o.nonce && s.sealed == o.sealed
}

func appendSized(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
