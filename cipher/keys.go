package cipher

import "fmt"

// DataKey is the key of one object's chunks.
type DataKey struct{ secret }

// KEK seals DataKeys: of one object, or of one bucket in one generation.
type KEK struct{ secret }

// StoreKey protects the metastore and whatever the server keeps for itself. It seals nothing directly: see Derive.
type StoreKey struct{ secret }

// MasterKey is one version of a key of the Local backend; it wraps KEKs.
type MasterKey struct{ secret }

// Subkey is a key derived from another secret: from the StoreKey, or from what unlocks it.
type Subkey struct{ secret }

// Each of these draws a fresh key from the system's random source.
func NewDataKey() *DataKey     { return &DataKey{randomSecret()} }
func NewKEK() *KEK             { return &KEK{randomSecret()} }
func NewStoreKey() *StoreKey   { return &StoreKey{randomSecret()} }
func NewMasterKey() *MasterKey { return &MasterKey{randomSecret()} }

// DataKeyFromBytes copies 32 bytes into a key; another length is ErrKey.
func DataKeyFromBytes(b []byte) (*DataKey, error) {
	s, err := secretFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return &DataKey{s}, nil
}

// KEKFromBytes copies 32 bytes into a key; another length is ErrKey.
func KEKFromBytes(b []byte) (*KEK, error) {
	s, err := secretFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("kek: %w", err)
	}
	return &KEK{s}, nil
}

// StoreKeyFromBytes copies 32 bytes into a key; another length is ErrKey.
func StoreKeyFromBytes(b []byte) (*StoreKey, error) {
	s, err := secretFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("store key: %w", err)
	}
	return &StoreKey{s}, nil
}

// MasterKeyFromBytes copies 32 bytes into a key; another length is ErrKey.
func MasterKeyFromBytes(b []byte) (*MasterKey, error) {
	s, err := secretFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return &MasterKey{s}, nil
}

// SubkeyFromBytes copies 32 bytes into a key; another length is ErrKey.
func SubkeyFromBytes(b []byte) (*Subkey, error) {
	s, err := secretFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("subkey: %w", err)
	}
	return &Subkey{s}, nil
}

// Equal compares two keys in constant time. A key that is wiped or was never set equals nothing.
func (k *DataKey) Equal(o *DataKey) bool { return k != nil && o != nil && k.equal(o.secret) }

// Equal compares two keys in constant time. A key that is wiped or was never set equals nothing.
func (k *KEK) Equal(o *KEK) bool { return k != nil && o != nil && k.equal(o.secret) }

// Equal compares two keys in constant time. A key that is wiped or was never set equals nothing.
func (k *StoreKey) Equal(o *StoreKey) bool { return k != nil && o != nil && k.equal(o.secret) }

// Equal compares two keys in constant time. A key that is wiped or was never set equals nothing.
func (k *MasterKey) Equal(o *MasterKey) bool { return k != nil && o != nil && k.equal(o.secret) }

// Equal compares two keys in constant time. A key that is wiped or was never set equals nothing.
func (k *Subkey) Equal(o *Subkey) bool { return k != nil && o != nil && k.equal(o.secret) }
