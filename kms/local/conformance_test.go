package local_test

import (
	"testing"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms/kmstest"
	"coffer/kms/local"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		return openKeyring(t, disktest.NewCrash(disktest.Options{}))
	})
}

func TestConformanceOnDisk(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(t *testing.T) kmstest.Backend {
		return openKeyring(t, disk.NewOS(t.TempDir()))
	})
}

// openKeyring opens a keyring under a key of its own.
func openKeyring(t *testing.T, fsys disk.Volume) *local.Keyring {
	t.Helper()
	key := cipher.NewStoreKey().Derive(cipher.LabelKeyring)
	k, err := local.Open(t.Context(), local.Options{FS: fsys, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}
