package home

import (
	"errors"
	"fmt"
	"path/filepath"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms/storekey"
)

// ErrSameKeyFile says that a new key file is the one that unlocks the store
// already.
var ErrSameKeyFile = errors.New("is the key file that unlocks the store already; name another")

// Slots describes the unlock slots of a store. It needs no secret.
func Slots(p Places) (cipher.StoreID, cipher.Fingerprint, []storekey.Slot, error) {
	file, err := storekey.Load(storekey.Options{FS: disk.NewOS(p.Config)})
	if err != nil {
		return cipher.StoreID{}, cipher.Fingerprint{}, nil, err
	}
	return file.StoreID(), file.Fingerprint(), file.Slots(), nil
}

// Keys is an unlocked store.key, whose slots may be changed. A running server
// is not disturbed: it reads store.key at its start only.
type Keys struct {
	options Options
	file    *storekey.File
	key     *cipher.StoreKey
	lock    *disk.DirLock
}

// OpenKeys unlocks store.key and locks the configuration directory. The data
// directory is not looked at. The caller closes the Keys.
func OpenKeys(o Options) (*Keys, error) {
	v := o.volumes()
	if _, err := storekey.Load(storekey.Options{FS: v.config}); err != nil {
		return nil, err
	}
	lock, err := waitLockDir(o.Places.Config)
	if err != nil {
		return nil, err
	}
	file, err := storekey.Load(storekey.Options{FS: v.config})
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	key, err := unlock(o, v, file)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return &Keys{options: o, file: file, key: key, lock: lock}, nil
}

// Derive gives the subkey for a use. The caller wipes it.
func (k *Keys) Derive(label cipher.Label) *cipher.Subkey { return k.key.Derive(label) }

// Close wipes the StoreKey and gives the configuration directory free.
func (k *Keys) Close() error {
	k.key.Wipe()
	return k.lock.Unlock()
}

// Add makes a slot that the new secret opens. A key file that is missing is
// made.
func (k *Keys) Add(secret Unlock, label string) (storekey.Slot, error) {
	s, err := k.newSecret(secret)
	if err != nil {
		return storekey.Slot{}, err
	}
	return k.file.Add(k.key, storekey.NewSlot{Secret: s, Label: label})
}

// Change gives a slot a new secret; an empty label keeps the present one.
func (k *Keys) Change(id storekey.SlotID, secret Unlock, label string) (storekey.Slot, error) {
	s, err := k.newSecret(secret)
	if err != nil {
		return storekey.Slot{}, err
	}
	return k.file.Change(k.key, id, storekey.NewSlot{Secret: s, Label: label})
}

// Remove removes a slot, never the last one.
func (k *Keys) Remove(id storekey.SlotID) error { return k.file.Remove(k.key, id) }

// newSecret makes the secret of a new slot: of the passphrase or key that was
// given, of the key file that was named, or of what a person types twice.
func (k *Keys) newSecret(u Unlock) (storekey.Secret, error) {
	if s, ok, err := u.given(); ok || err != nil {
		return s, err
	}
	if u.KeyFile != "" {
		if filepath.Clean(u.KeyFile) == filepath.Clean(k.options.Unlock.KeyFile) {
			return storekey.Secret{}, fmt.Errorf("%s %w", u.KeyFile, ErrSameKeyFile)
		}
		return ensureKeyFile(disk.NewOS(filepath.Dir(u.KeyFile)), filepath.Base(u.KeyFile))
	}
	if k.options.Ask == nil {
		return storekey.Secret{}, fmt.Errorf("%w: no new passphrase, key or key file", ErrNoSecret)
	}
	return askTwice(k.options.Ask)
}

// ErrDiffer says that two answers which should be the same are not.
var ErrDiffer = errors.New("the two passphrases differ")

func askTwice(ask func(string) ([]byte, error)) (storekey.Secret, error) {
	first, err := ask("New passphrase: ")
	if err != nil {
		return storekey.Secret{}, err
	}
	defer clear(first)
	second, err := ask("New passphrase, once more: ")
	if err != nil {
		return storekey.Secret{}, err
	}
	defer clear(second)
	if string(first) != string(second) {
		return storekey.Secret{}, ErrDiffer
	}
	return storekey.PassphraseSecret(first)
}
