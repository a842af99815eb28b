package home

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms/local"
	"coffer/kms/storekey"
)

// Options say where a store is and what opens it.
type Options struct {
	Places          Places      // required
	KeysBesideData  bool        // keys inside the data directory are accepted
	AcceptEmptyData bool        // an empty data directory is accepted from a store that had data
	Root            Credentials // zero: those of the file, made at need
	Unlock          Unlock
	// Ask asks a person for a passphrase. Nil: nobody is there.
	Ask func(prompt string) ([]byte, error)
}

func (o Options) volumes() volumes {
	return volumes{
		config: disk.NewOS(o.Places.Config),
		data:   disk.NewOS(o.Places.Data),
		key:    disk.NewOS(filepath.Dir(o.Unlock.KeyFile)),
	}
}

// Home is a store's two directories, unlocked and locked against others.
type Home struct {
	Places      Places
	StoreID     cipher.StoreID
	Fingerprint cipher.Fingerprint // of the StoreKey
	Key         *cipher.StoreKey   // wiped by Close
	Config      disk.Volume
	Data        disk.Volume
	Root        Credentials
	RootFrom    CredentialsFrom
	New         bool // the store was made by this start
	Replaced    bool // the data directory was empty, which was accepted
	Stored      bool // there was a metastore or chunk store before this start, and so a keyring

	lock    *disk.DirLock // of the data directory
	keyring *disk.DirLock // of the keyring's directory, which keeps a server with other data out
}

// InUse reports, by an *InUseError, that another process has the data directory.
func InUse(p Places) error {
	lock, err := lockDir(p.Data)
	if inUse, ok := errors.AsType[*InUseError](err); ok {
		return inUse
	}
	return lock.Unlock()
}

// Open finds the store, makes it at the first start, and unlocks it. Where it
// fails nothing was changed, but for the empty directories and the key file of
// a first start. The caller closes the Home.
func Open(o Options) (*Home, error) {
	if !o.KeysBesideData {
		if err := o.Places.CheckApart(); err != nil {
			return nil, err
		}
	}
	if err := o.Places.CheckAudit(); err != nil {
		return nil, err
	}
	v := o.volumes()
	if _, err := survey(o, v); err != nil {
		return nil, err
	}
	for _, dir := range []disk.Volume{v.config, v.data} {
		if err := dir.MkdirAll("."); err != nil {
			return nil, err
		}
	}
	if err := o.Places.checkDistinct(); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Places.Data)
	if err != nil {
		return nil, err
	}
	config, err := waitLockDir(o.Places.Config)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	h, err := open(o, v)
	err = errors.Join(err, config.Unlock())
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	h.lock = lock
	if h.keyring, err = lockDir(o.Places.keyring()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// open does what Open does on directories that exist and are locked.
func open(o Options, v volumes) (*Home, error) {
	f, err := survey(o, v)
	if err != nil {
		return nil, err
	}
	h := &Home{Places: o.Places, Config: v.config, Data: v.data, Stored: f.data}
	if f.stage == stageNew {
		f.file, h.Key, err = create(o, v)
	} else {
		h.Key, err = unlock(o, v, f.file)
	}
	if err != nil {
		return nil, err
	}
	h.StoreID, h.Fingerprint = f.file.StoreID(), f.file.Fingerprint()
	h.New = f.stage == stageNew || f.stage == stageUnfinished
	h.Replaced = f.stage == stageReplaced
	if f.stage != stageKnown {
		err = writeMarker(v.data, marker{store: h.StoreID})
	}
	if err == nil && !f.data {
		err = v.config.MkdirAll(local.DefaultDir)
	}
	if err == nil {
		h.Root, h.RootFrom, err = credentials(v.config, o.Root)
	}
	if err != nil {
		h.Key.Wipe()
		return nil, err
	}
	return h, nil
}

// create makes store.key. The order of the steps is in the package's comment.
func create(o Options, v volumes) (*storekey.File, *cipher.StoreKey, error) {
	if err := writeMarker(v.data, marker{}); err != nil {
		return nil, nil, err
	}
	s, err := o.firstSecret(v)
	if err != nil {
		return nil, nil, fmt.Errorf("secret of the first unlock slot: %w", err)
	}
	return storekey.Create(storekey.Options{FS: v.config}, storekey.NewSlot{Secret: s, Label: "first"})
}

func unlock(o Options, v volumes, file *storekey.File) (*cipher.StoreKey, error) {
	s, err := o.unlockSecret(v, file.Slots())
	if err != nil {
		return nil, fmt.Errorf("unlock store %v: %w", file.StoreID(), err)
	}
	return file.Unlock(s)
}

// Close wipes the StoreKey and gives the directories free. Metastore, chunk
// store and keyring must be closed before.
func (h *Home) Close() error {
	h.Key.Wipe()
	return errors.Join(h.keyring.Unlock(), h.lock.Unlock())
}
