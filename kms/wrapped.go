package kms

import (
	"encoding/binary"

	"coffer/cipher"
)

// Wrapped is a KEK as a backend wrapped it: everything that is needed to have it
// unwrapped, apart from the context. It holds no secret.
type Wrapped struct {
	Instance    cipher.InstanceID  // of the backend that wrapped
	KeyID       string             // of the key that wrapped
	Fingerprint cipher.Fingerprint // of the MasterKey version that wrapped
	Version     uint32             // of the key
	Ciphertext  []byte             // the backend's own; at most MaxCiphertextSize
}

// Blob returns the stored form of the key id and the ciphertext:
//
//	offset   size   field
//	0        4      n, length of the key id, big-endian
//	4        n      key id
//	4+n      rest   backend ciphertext
func (w Wrapped) Blob() []byte {
	b := make([]byte, 0, 4+len(w.KeyID)+len(w.Ciphertext))
	b = binary.BigEndian.AppendUint32(b, uint32(len(w.KeyID)))
	b = append(b, w.KeyID...)
	return append(b, w.Ciphertext...)
}

// ParseBlob is the inverse of Wrapped.Blob. The ciphertext is a part of blob,
// not a copy. The error has Kind Invalid.
func ParseBlob(blob []byte) (keyID string, ciphertext []byte, err error) {
	if len(blob) < 4 {
		return "", nil, invalid("a wrapped key of %d bytes is too short", len(blob))
	}
	n := binary.BigEndian.Uint32(blob)
	rest := blob[4:]
	if n > MaxKeyIDSize || int(n) > len(rest) {
		return "", nil, invalid("a wrapped key of %d bytes claims a key id of %d", len(blob), n)
	}
	keyID, ciphertext = string(rest[:n]), rest[n:]
	if err := CheckKeyID(keyID); err != nil {
		return "", nil, err
	}
	if len(ciphertext) == 0 || len(ciphertext) > MaxCiphertextSize {
		return "", nil, invalid("a wrapped key holds a ciphertext of %d bytes", len(ciphertext))
	}
	return keyID, ciphertext, nil
}

// Check reports whether w is within the limits. The error has Kind Invalid.
func (w Wrapped) Check() error {
	if err := CheckKeyID(w.KeyID); err != nil {
		return err
	}
	if len(w.Ciphertext) == 0 || len(w.Ciphertext) > MaxCiphertextSize {
		return invalid("the wrapped key has a ciphertext of %d bytes", len(w.Ciphertext))
	}
	return nil
}
