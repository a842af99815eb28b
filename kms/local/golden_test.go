package local

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

// goldenWrap is a line of testdata/v1/wrapped.json.
type goldenWrap struct {
	Context []byte `json:"context"`
	KEK     []byte `json:"kek"`
	Blob    []byte `json:"blob"` // kms.Wrapped.Blob
	Version uint32 `json:"version"`
}

// goldenKey is the key of the golden files: that of the StoreKey 00 01 … 1f.
func goldenKey(t *testing.T) *cipher.Subkey {
	t.Helper()
	raw := make([]byte, cipher.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	k, err := cipher.StoreKeyFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k.Derive(cipher.LabelKeyring)
}

// loadGolden copies the golden keyring to a file system in memory.
func loadGolden(t *testing.T) disk.Volume {
	t.Helper()
	fsys := disktest.NewCrash(disktest.Options{})
	if err := fsys.MkdirAll("keyring"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("testdata/v1/keyring")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile("testdata/v1/keyring/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		put(t, fsys, "keyring/"+e.Name(), data)
	}
	return fsys
}

func goldenWraps(t *testing.T) []goldenWrap {
	t.Helper()
	data, err := os.ReadFile("testdata/v1/wrapped.json")
	if err != nil {
		t.Fatal(err)
	}
	var wraps []goldenWrap
	if err := json.Unmarshal(data, &wraps); err != nil {
		t.Fatal(err)
	}
	return wraps
}

func TestGolden(t *testing.T) {
	t.Parallel()
	k, err := Open(t.Context(), Options{FS: loadGolden(t), Key: goldenKey(t), MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if got := k.Instance().String(); got != goldenInstance {
		t.Errorf("instance %s", got)
	}
	page, err := k.ListKeys(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenKeys(t), page.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	wraps := goldenWraps(t)
	if len(wraps) != 5 {
		t.Errorf("%d wrapped KEKs", len(wraps))
	}
	for _, g := range wraps {
		keyID, ciphertext, err := kms.ParseBlob(g.Blob)
		if err != nil {
			t.Fatal(err)
		}
		w := kms.Wrapped{Instance: k.Instance(), KeyID: keyID, Version: g.Version, Ciphertext: ciphertext}
		kek, err := k.Unwrap(t.Context(), w, g.Context)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(kek.Expose(), g.KEK) {
			t.Errorf("another KEK under %q version %d", keyID, g.Version)
		}
	}
}

// TestGoldenWrittenAgain shows that what is written today has the same bodies.
func TestGoldenWrittenAgain(t *testing.T) {
	t.Parallel()
	k, err := Open(t.Context(), Options{FS: loadGolden(t), Key: goldenKey(t), MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	body, err := k.files.read(instanceName, kindInstance)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.codec.encodeInstance(k.record); err != nil || !bytes.Equal(again, body) {
		t.Errorf("instance: %x, %v, was %x", again, err, body)
	}
	for id, e := range k.entries {
		body, err := k.files.read(k.files.keyName(id), kindKey)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.codec.encodeKey(e.record); err != nil || !bytes.Equal(again, body) {
			t.Errorf("key %q: %x, %v, was %x", id, again, err, body)
		}
	}
}

// TestGoldenTestdataIsWhole keeps files from being added to a released format.
func TestGoldenTestdataIsWhole(t *testing.T) {
	t.Parallel()
	if err := fstest.TestFS(os.DirFS("testdata/v1/keyring"), goldenFiles()...); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir("testdata/v1/keyring")
	if err != nil || len(entries) != len(goldenFiles()) {
		t.Errorf("%d files, %v", len(entries), err)
	}
}
