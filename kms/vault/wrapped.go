package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"coffer/cipher"
	"coffer/kms"
)

const (
	// contextPrefix makes every context non-empty, as derived keys demand, and
	// keeps Coffer's apart from those of others who use the same key.
	contextPrefix = "coffer/v1:"
	// fingerprintLabel begins what a fingerprint is made from.
	fingerprintLabel = "coffer/v1/vault-key-version"
	// ciphertextPrefix begins Vault's ciphertexts, before the version.
	ciphertextPrefix = "vault:v"
)

// encodeContext returns the context as Vault takes it.
func encodeContext(keyContext []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte(contextPrefix), keyContext...))
}

// versionOf tells which key version made a ciphertext. It accepts the one
// spelling that Vault itself gives, so that a ciphertext has no other form.
func versionOf(ciphertext []byte) (uint32, error) {
	bad := func(what string) (uint32, error) {
		return 0, fmt.Errorf("%w: the wrapped KEK is no ciphertext of Transit: %s", kms.Crypto, what)
	}
	rest, ok := bytes.CutPrefix(ciphertext, []byte(ciphertextPrefix))
	if !ok {
		return bad("it does not begin with " + ciphertextPrefix)
	}
	digits, body, ok := bytes.Cut(rest, []byte(":"))
	if !ok {
		return bad("it has no second colon")
	}
	number, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != string(digits) {
		return bad("its version is not a number from 1")
	}
	raw, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil || len(raw) == 0 || base64.StdEncoding.EncodeToString(raw) != string(body) {
		return bad("its body is not base64")
	}
	return uint32(number), nil
}

// fingerprint names a version of a key; see the package documentation.
func (b *Backend) fingerprint(keyID string, version uint32) cipher.Fingerprint {
	instance := b.options.Instance
	m := append([]byte(fingerprintLabel), instance[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(len(keyID)))
	m = append(m, keyID...)
	m = binary.BigEndian.AppendUint32(m, version)
	sum := sha256.Sum256(m)
	return cipher.Fingerprint(sum[:cipher.IDSize])
}

// wrapped returns what a ciphertext that Vault has just made stands for.
func (b *Backend) wrapped(keyID, ciphertext string) (kms.Wrapped, error) {
	version, err := versionOf([]byte(ciphertext))
	if err != nil {
		return kms.Wrapped{}, err
	}
	w := kms.Wrapped{
		Instance: b.options.Instance, KeyID: keyID, Version: version,
		Fingerprint: b.fingerprint(keyID, version), Ciphertext: []byte(ciphertext),
	}
	return w, w.Check()
}

// checkWrapped tells what can be told of w without Vault, and its version.
func (b *Backend) checkWrapped(w kms.Wrapped, keyContext []byte) (uint32, error) {
	if err := errors.Join(w.Check(), kms.CheckContext(keyContext)); err != nil {
		return 0, err
	}
	if !w.Instance.IsZero() && w.Instance != b.options.Instance {
		return 0, fmt.Errorf("%w: wrapped by backend %v, this is %v", kms.Crypto, w.Instance, b.options.Instance)
	}
	version, err := versionOf(w.Ciphertext)
	if err != nil {
		return 0, err
	}
	if w.Version != 0 && w.Version != version {
		return 0, fmt.Errorf("%w: wrapped by version %d, the record says %d", kms.Crypto, version, w.Version)
	}
	return version, nil
}

// checkFingerprint compares the fingerprint once Vault has opened w: before,
// a key that is gone could not be told from another key.
func (b *Backend) checkFingerprint(w kms.Wrapped, version uint32) error {
	found := b.fingerprint(w.KeyID, version)
	if !w.Fingerprint.IsZero() && w.Fingerprint != found {
		return fmt.Errorf("%w: version %d of the key has fingerprint %v, the record says %v",
			kms.Crypto, version, found, w.Fingerprint)
	}
	return nil
}
