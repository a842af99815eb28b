package objecttest

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"coffer/chunk/localdisk"
	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms"
	"coffer/kms/local"
	"coffer/metastore/badgerdb"
	"coffer/object"
)

// Disk is an Env over Badger, chunk files and a Local keyring below one directory, as a server has them. The StoreKey
// lies in the clear beside them, which only a test may do.
type Disk struct {
	*Env
	Badger *badgerdb.DB
}

// OpenDisk opens what lies in dir, or makes it.
func OpenDisk(ctx context.Context, dir string) (*Disk, error) {
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "config")
	key, id, err := loadKey(config)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	keyring, err := local.Open(ctx, local.Options{FS: disk.NewOS(config), Key: key.Derive(cipher.LabelKeyring)})
	if err != nil {
		return nil, err
	}
	if _, err := keyring.CreateKey(ctx, object.DefaultKeyID); err != nil && !errors.Is(err, kms.AlreadyExists) {
		return nil, err
	}
	db, err := badgerdb.Open(ctx, badgerdb.Options{Dir: filepath.Join(data, "meta"), EncryptionKey: key.Derive(cipher.LabelBadger)})
	if err != nil {
		return nil, err
	}
	chunks, err := localdisk.Open(ctx, localdisk.Options{FS: disk.NewOS(data)})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Disk{Badger: db, Env: &Env{
		Driver: db, Chunks: chunks, Keyring: keyring, StoreID: id, Box: cipher.NewBox(key.Derive(cipher.LabelValues)),
	}}, nil
}

// Close closes everything but the engine, which must be closed before.
func (d *Disk) Close() error { return errors.Join(d.Chunks.Close(), d.Driver.Close()) }

// loadKey reads the StoreKey and the store id from a file, or makes it.
func loadKey(config string) (*cipher.StoreKey, cipher.StoreID, error) {
	if err := os.MkdirAll(config, 0o700); err != nil {
		return nil, cipher.StoreID{}, err
	}
	file := filepath.Join(config, "test.key")
	saved, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		id := cipher.NewStoreID()
		saved = append(id[:], cipher.NewStoreKey().Expose()...)
		err = os.WriteFile(file, saved, 0o600)
	}
	if err != nil {
		return nil, cipher.StoreID{}, err
	}
	if len(saved) < cipher.IDSize {
		return nil, cipher.StoreID{}, errors.New("test.key is too short")
	}
	key, err := cipher.StoreKeyFromBytes(saved[cipher.IDSize:])
	return key, cipher.StoreID(saved[:cipher.IDSize]), err
}
