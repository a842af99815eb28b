package home

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"coffer/internal/disk"
	"coffer/internal/secret"
	"coffer/kms/storekey"
)

// Unlock is what was given to unlock a store, or to make a slot of. The first
// that is there counts: Passphrase, Key, the file KeyFile.
type Unlock struct {
	Passphrase secret.Value
	Key        secret.Value // of the environment
	KeyFile    string       // path
}

// given makes a secret of the passphrase or key, or gives false.
func (u Unlock) given() (storekey.Secret, bool, error) {
	switch {
	case !u.Passphrase.IsZero():
		s, err := storekey.PassphraseSecret(u.Passphrase.Expose())
		return s, true, err
	case !u.Key.IsZero():
		s, err := storekey.EnvironmentSecret(string(u.Key.Expose()))
		return s, true, err
	}
	return storekey.Secret{}, false, nil
}

// keyFile reads the key file of a directory.
func keyFile(dir disk.FS, name string) (storekey.Secret, error) {
	content, err := disk.ReadFile(dir, name, storekey.MaxKeyFileSize)
	if err != nil {
		return storekey.Secret{}, err
	}
	defer clear(content)
	s, err := storekey.KeyFileSecret(content)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// ensureKeyFile reads a key file, which is made with a fresh key, durable, where
// it is missing.
func ensureKeyFile(dir disk.Volume, name string) (storekey.Secret, error) {
	s, err := keyFile(dir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	content := storekey.NewKeyFile()
	defer clear(content)
	if err := dir.MkdirAll("."); err != nil {
		return storekey.Secret{}, err
	}
	if err := disk.WriteFileAtomic(dir, ".", name, content); err != nil {
		return storekey.Secret{}, err
	}
	return storekey.KeyFileSecret(content)
}

// unlockSecret finds the secret for a store that has slots already.
func (o Options) unlockSecret(v volumes, slots []storekey.Slot) (storekey.Secret, error) {
	if s, ok, err := o.Unlock.given(); ok || err != nil {
		return s, err
	}
	s, err := keyFile(v.key, filepath.Base(o.Unlock.KeyFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	isPassphrase := func(s storekey.Slot) bool { return s.Kind == storekey.Passphrase }
	if o.Ask == nil || !slices.ContainsFunc(slots, isPassphrase) {
		return storekey.Secret{}, fmt.Errorf("%w: no passphrase, no key, and no key file %s", ErrNoSecret, o.Unlock.KeyFile)
	}
	text, err := o.Ask("Passphrase of the store: ")
	if err != nil {
		return storekey.Secret{}, err
	}
	defer clear(text)
	return storekey.PassphraseSecret(text)
}

// firstSecret finds the secret for the first slot of a new store.
func (o Options) firstSecret(v volumes) (storekey.Secret, error) {
	if s, ok, err := o.Unlock.given(); ok || err != nil {
		return s, err
	}
	return ensureKeyFile(v.key, filepath.Base(o.Unlock.KeyFile))
}
