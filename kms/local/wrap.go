package local

import (
	"encoding/binary"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
)

// Format of a wrapped KEK (FORMAT.md).
const (
	labelKEK       = "coffer/v1/keyring/kek"
	wrapVersion    = 1
	wrapHeaderSize = 5
	wrapOverhead   = wrapHeaderSize + cipher.BoxOverhead
)

// wrapContext is what a wrapped KEK is bound to.
type wrapContext struct {
	instance   cipher.InstanceID
	keyID      string
	version    uint32
	keyContext []byte
}

// additional gives the associated data of a wrapped KEK.
func (c wrapContext) additional() []byte {
	b := make([]byte, 0, len(labelKEK)+wrapHeaderSize+len(c.instance)+8+len(c.keyID)+len(c.keyContext))
	b = append(b, labelKEK...)
	b = append(b, wrapVersion)
	b = binary.BigEndian.AppendUint32(b, c.version)
	b = append(b, c.instance[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.keyID)))
	b = append(b, c.keyID...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.keyContext)))
	return append(b, c.keyContext...)
}

// seal gives the ciphertext of a plaintext under master.
func seal(master *cipher.MasterKey, plaintext []byte, c wrapContext) []byte {
	b := make([]byte, 0, wrapOverhead+len(plaintext))
	b = append(b, wrapVersion)
	b = binary.BigEndian.AppendUint32(b, c.version)
	return cipher.NewBox(master).Seal(b, plaintext, c.additional())
}

// wrappedVersion tells which key version wrapped a ciphertext.
func wrappedVersion(ciphertext []byte) (uint32, error) {
	if n := len(ciphertext); n <= wrapOverhead || n > wrapOverhead+kms.MaxPlaintextSize {
		return 0, fmt.Errorf("%w: a wrapped KEK of %d bytes, must be %d", kms.Crypto, n, wrapOverhead+cipher.KeySize)
	}
	if ciphertext[0] != wrapVersion {
		return 0, fmt.Errorf("%w: wrapped KEK of unknown format %d", kms.Crypto, ciphertext[0])
	}
	return binary.BigEndian.Uint32(ciphertext[1:]), nil
}

// unseal opens a ciphertext whose size wrappedVersion has checked.
func unseal(master *cipher.MasterKey, ciphertext []byte, c wrapContext) ([]byte, error) {
	plaintext, err := cipher.NewBox(master).Open(nil, ciphertext[wrapHeaderSize:], c.additional())
	if err != nil {
		return nil, fmt.Errorf("%w: the wrapped KEK or its context was changed: %w", kms.Crypto, err)
	}
	return plaintext, nil
}

// asKEK makes a KEK of a plaintext.
func asKEK(plaintext []byte) (*cipher.KEK, error) {
	kek, err := cipher.KEKFromBytes(plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: it wraps no KEK: %w", kms.Crypto, err)
	}
	return kek, nil
}
