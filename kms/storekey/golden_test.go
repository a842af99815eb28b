package storekey

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk/disktest"
)

// What testdata/v1/README.md says about the golden file.
const (
	goldenFile        = "testdata/v1/store.key"
	goldenStore       = "4062ec0d75b77f5ed68c5b5b40e4334b"
	goldenFingerprint = "4d13d2c4cde69ed5390111a1181f9c0f"
	goldenPassphrase  = "correct horse battery staple ä"
	goldenEnvironment = "from the environment"
)

func goldenKeyFile() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 4) }

func goldenSlots() []Slot {
	at := func(second int64) time.Time { return time.Unix(1_760_000_000+second, 123456789) }
	return []Slot{
		{ID: 1, Kind: KeyFile, Label: "first", Changed: at(2)},
		{ID: 3, Kind: Environment, Label: "", Changed: at(4), Cost: Cost{MemoryKiB: 64, Passes: 2, Lanes: 3}},
		{ID: 4, Kind: Passphrase, Label: "añb", Changed: at(5), Cost: DefaultCost()},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	fsys := disktest.NewCrash(disktest.Options{})
	put(t, fsys, data)
	f := mustLoad(t, fsys)
	if got := f.StoreID().String(); got != goldenStore {
		t.Errorf("store %s", got)
	}
	if got := f.Fingerprint().String(); got != goldenFingerprint {
		t.Errorf("fingerprint %s", got)
	}
	if diff := cmp.Diff(goldenSlots(), f.Slots()); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	var want *cipher.StoreKey
	for _, s := range goldenSecrets(t) {
		key, err := f.Unlock(s)
		if err != nil {
			t.Fatal(err)
		}
		if want != nil && !key.Equal(want) {
			t.Errorf("the %v gives another key", s.Kind())
		}
		want = key
	}
	if got := want.Fingerprint().String(); got != goldenFingerprint {
		t.Errorf("unlocked key with fingerprint %s", got)
	}
	if again, err := f.codec.encode(f.body); err != nil || !bytes.Equal(again, data) {
		t.Errorf("written today as %x, %v", again, err)
	}
}

func goldenSecrets(t *testing.T) []Secret {
	t.Helper()
	keyFile, err := KeyFileSecret(goldenKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	return []Secret{keyFile, secret(t, Environment, goldenEnvironment), secret(t, Passphrase, goldenPassphrase)}
}
