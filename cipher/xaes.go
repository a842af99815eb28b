package cipher

import (
	"crypto/aes"
	"crypto/subtle"

	stdcipher "crypto/cipher"
)

const (
	gcmNonceSize  = 12
	gcmTagSize    = 16
	xaesNonceSize = 24
	xaesSaltSize  = 12 // the part of the nonce that selects the derived key; the rest is the nonce of GCM
)

// xaes derives the keys of XAES-256-GCM as https://c2sp.org/XAES-256-GCM has it ("Detailed key derivation
// algorithm"); the names are those of that text.
type xaes struct {
	k  stdcipher.Block
	k1 [aes.BlockSize]byte
}

// newXAES does steps 1 and 2, which depend on the key alone.
func newXAES(key []byte) *xaes {
	x := &xaes{k: newAES(key)}
	x.k.Encrypt(x.k1[:], x.k1[:]) // L
	msb := x.k1[0] >> 7
	for i := range x.k1 {
		x.k1[i] <<= 1
		if i+1 < len(x.k1) {
			x.k1[i] |= x.k1[i+1] >> 7
		}
	}
	x.k1[len(x.k1)-1] ^= msb * 0b1000_0111
	return x
}

// derive does steps 3 to 5 with the first 12 bytes of the nonce.
func (x *xaes) derive(salt []byte) [KeySize]byte {
	var kx [KeySize]byte
	for i := range 2 {
		m := kx[i*aes.BlockSize:][:aes.BlockSize]
		copy(m, []byte{0, byte(i + 1), 'X', 0})
		copy(m[4:], salt)
		subtle.XORBytes(m, m, x.k1[:])
		x.k.Encrypt(m, m)
	}
	return kx
}

// newGCM returns AES-256-GCM under a key of 32 bytes.
func newGCM(key []byte) stdcipher.AEAD {
	aead, err := stdcipher.NewGCM(newAES(key))
	if err != nil {
		panic("cipher: " + err.Error()) // only where a FIPS-only process forbids GCM with nonces of one's own
	}
	return traced(key, aead)
}

func newAES(key []byte) stdcipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("cipher: " + err.Error()) // only for a wrong length
	}
	return block
}
