package cipher

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Every info string that this package hands to HKDF. No string is a prefix of another one of the same secret.
const (
	infoChunk       = "coffer/v1/chunk"       // DataKey  -> chunk key; the chunk's header follows
	infoDataKey     = "coffer/v1/datakey"     // KEK      -> key that seals a DataKey; mode and object id follow
	infoFingerprint = "coffer/v1/fingerprint" // any key  -> its fingerprint
	infoStore       = "coffer/v1/store/"      // StoreKey -> Subkey; the label follows
)

// Label names one use of the StoreKey. FORMAT.md lists them all.
type Label string

// The uses of the StoreKey.
const (
	LabelBadger  Label = "badger"  // Badger's own encryption of its files
	LabelValues  Label = "values"  // the box of every metastore value
	LabelKeyring Label = "keyring" // the box of the built-in keyring's files
	LabelConfig  Label = "config"  // the box of what the server keeps in its configuration directory
	LabelAudit   Label = "audit"   // the chain and seal of the audit log
	LabelNames   Label = "names"   // keyed hashes of names
)

// Derive returns the subkey for one use. The same label gives the same subkey, and two labels give two that say
// nothing about each other. It returns a subkey that every use refuses with ErrKey when k is wiped or was never set.
func (k *StoreKey) Derive(label Label) *Subkey {
	b, err := k.usable()
	if err != nil {
		return new(Subkey)
	}
	derived := hkdfSHA256(b, nil, infoStore+string(label), KeySize)
	defer clear(derived)
	sub := &Subkey{emptySecret()}
	copy(sub.m.bytes[:], derived)
	return sub
}

// hkdfSHA256 is RFC 5869 with SHA-256. The only errors are lengths that no caller here can ask for.
func hkdfSHA256(key, salt []byte, info string, size int) []byte {
	out, err := hkdf.Key(sha256.New, key, salt, info, size)
	if err != nil {
		panic("cipher: hkdf: " + err.Error())
	}
	return out
}
