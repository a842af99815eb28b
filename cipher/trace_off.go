//go:build !sealtrace

package cipher

import stdcipher "crypto/cipher"

// traced returns the AEAD. A build with the tag sealtrace records what it seals; see SealTrace there.
func traced(_ []byte, aead stdcipher.AEAD) stdcipher.AEAD { return aead }
