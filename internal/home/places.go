package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"coffer/chunk/localdisk"
	"coffer/internal/disk"
	"coffer/kms/local"
	"coffer/kms/storekey"
)

// Names in the configuration directory.
const (
	UnlockKeyFile   = "unlock.key"
	CredentialsFile = "root.credentials"
)

// Names in the data directory.
const (
	markerFile = "store"
	metaDir    = "meta"
	chunkDir   = localdisk.DefaultDir
)

// Places are the directories and files of a store, as absolute paths.
type Places struct {
	Config     string // directory of keys and credentials
	Data       string // directory of sealed bytes and names
	UnlockKey  string // key file that unlocks the store
	Passphrase string // file of the passphrase that unlocks the store, "" for none
	Audit      string // directory of the audit log, "" for none
}

func (p Places) storeKey() string { return filepath.Join(p.Config, storekey.FileName) }

func (p Places) keyring() string { return filepath.Join(p.Config, local.DefaultDir) }

// Credentials is the path of the root credentials.
func (p Places) Credentials() string { return filepath.Join(p.Config, CredentialsFile) }

// Meta is the path of the metastore.
func (p Places) Meta() string { return filepath.Join(p.Data, metaDir) }

// CheckApart fails with a *KeysBesideDataError when a key lies, or would be
// made, inside the data directory, also by way of symbolic links.
func (p Places) CheckApart() error {
	for _, key := range []string{p.storeKey(), p.keyring(), p.Credentials(), p.UnlockKey, p.Passphrase} {
		if key == "" {
			continue
		}
		err := storekey.CheckApart(key, p.Data)
		if errors.Is(err, storekey.ErrInside) {
			return &KeysBesideDataError{Key: key, Data: p.Data}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckAudit fails with an *AuditInsideDataError when the audit log, which has
// the names of buckets in the clear, lies inside the data directory, also by way
// of symbolic links.
func (p Places) CheckAudit() error {
	if p.Audit == "" {
		return nil
	}
	inside, err := disk.Inside(p.Audit, p.Data)
	if err == nil && inside {
		err = &AuditInsideDataError{Audit: p.Audit, Data: p.Data}
	}
	return err
}

// Exposed lists the files of secrets that others than their owner may read. A
// start makes none such, but a copy or a mount may.
func (p Places) Exposed() []string {
	var list []string
	for _, name := range []string{p.storeKey(), p.Credentials(), p.UnlockKey, p.Passphrase} {
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o077 != 0 {
			list = append(list, name)
		}
	}
	return list
}

// checkDistinct fails when the two directories are one.
func (p Places) checkDistinct() error {
	config, err := os.Stat(p.Config)
	if err != nil {
		return err
	}
	data, err := os.Stat(p.Data)
	if err != nil {
		return err
	}
	if os.SameFile(config, data) {
		return fmt.Errorf("%w: %s", ErrOneDirectory, p.Data)
	}
	return nil
}
