package local

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/kms"
)

// keyringKey makes a key for keyrings.
func keyringKey() *cipher.Subkey { return cipher.NewStoreKey().Derive(cipher.LabelKeyring) }

// mustOpen opens a keyring that is closed with the test.
func mustOpen(t testing.TB, fsys disk.Volume, key *cipher.Subkey) *Keyring {
	t.Helper()
	k, err := Open(t.Context(), Options{FS: fsys, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// mustCreate makes a key and a KEK wrapped under it.
func mustCreate(t testing.TB, k *Keyring, keyID string) (*cipher.KEK, kms.Wrapped) {
	t.Helper()
	if _, err := k.CreateKey(t.Context(), keyID); err != nil {
		t.Fatal(err)
	}
	return mustGenerate(t, k, keyID)
}

func mustGenerate(t testing.TB, k *Keyring, keyID string) (*cipher.KEK, kms.Wrapped) {
	t.Helper()
	kek, w, err := k.GenerateKEK(t.Context(), keyID, []byte("context"))
	if err != nil {
		t.Fatal(err)
	}
	return kek, w
}

func mustUnwrap(t testing.TB, k *Keyring, w kms.Wrapped, want *cipher.KEK) {
	t.Helper()
	got, err := k.Unwrap(t.Context(), w, []byte("context"))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(want) {
		t.Fatal("another KEK came out")
	}
}

// put replaces a file by other bytes.
func put(t testing.TB, fsys disk.FS, name string, data []byte) {
	t.Helper()
	dir, base, _ := strings.Cut(name, "/")
	if err := disk.WriteFileAtomic(fsys, dir, base, data); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, fsys disk.FS, name string) []byte {
	t.Helper()
	data, err := disk.ReadFile(fsys, name, maxFileSize)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func remove(t testing.TB, fsys disk.FS, name string) {
	t.Helper()
	if err := fsys.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// wantFault checks that err is a fault of the file, with its cause and remedy.
func wantFault(t testing.TB, err error, file string, cause error, kind kms.Kind, remedy string) {
	t.Helper()
	var e *FileError
	switch {
	case !errors.As(err, &e):
		t.Errorf("error of type %T: %v", err, err)
	case e.File != file || !errors.Is(err, cause) || kms.KindOf(err) != kind:
		t.Errorf("fault of %s of kind %v, want %s %v %v: %v", e.File, kms.KindOf(err), file, cause, kind, err)
	case !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), remedy):
		t.Errorf("the error does not name file and remedy %q: %v", remedy, err)
	}
}

// damages are what may happen to a file, with the fault that is seen.
var damages = []struct {
	name   string
	do     func(t *testing.T, fsys disk.Volume, file string)
	cause  error
	kind   kms.Kind
	remedy string
}{
	{"removed", func(t *testing.T, fsys disk.Volume, file string) {
		remove(t, fsys, file)
	}, ErrMissing, kms.Crypto, "restore"},
	{"emptied", func(t *testing.T, fsys disk.Volume, file string) {
		put(t, fsys, file, nil)
	}, ErrDamaged, kms.Crypto, "restore"},
	{"cut", func(t *testing.T, fsys disk.Volume, file string) {
		data := get(t, fsys, file)
		put(t, fsys, file, data[:len(data)-1])
	}, ErrDamaged, kms.Crypto, "restore"},
	{"cut in the header", func(t *testing.T, fsys disk.Volume, file string) {
		put(t, fsys, file, get(t, fsys, file)[:5])
	}, ErrDamaged, kms.Crypto, "restore"},
	{"extended", func(t *testing.T, fsys disk.Volume, file string) {
		put(t, fsys, file, append(get(t, fsys, file), 0))
	}, ErrDamaged, kms.Crypto, "restore"},
	{"blown up", func(t *testing.T, fsys disk.Volume, file string) {
		put(t, fsys, file, make([]byte, maxFileSize+1))
	}, ErrDamaged, kms.Crypto, "restore"},
	{"first bit", func(t *testing.T, fsys disk.Volume, file string) {
		flip(t, fsys, file, 0)
	}, ErrDamaged, kms.Crypto, "restore"},
	{"kind", func(t *testing.T, fsys disk.Volume, file string) {
		flip(t, fsys, file, 5)
	}, ErrDamaged, kms.Crypto, "restore"},
	{"last bit", func(t *testing.T, fsys disk.Volume, file string) {
		flip(t, fsys, file, len(get(t, fsys, file))-1)
	}, ErrDamaged, kms.Crypto, "restore"},
	{"newer format", func(t *testing.T, fsys disk.Volume, file string) {
		data := bytes.Clone(get(t, fsys, file))
		data[4] = 2
		put(t, fsys, file, data)
	}, ErrNewer, kms.Unsupported, "version of Coffer"},
}

func flip(t *testing.T, fsys disk.Volume, file string, i int) {
	t.Helper()
	data := bytes.Clone(get(t, fsys, file))
	data[i] ^= 1
	put(t, fsys, file, data)
}

func TestInstanceFileDamaged(t *testing.T) {
	t.Parallel()
	const file = "keyring/instance"
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
			k := mustOpen(t, fsys, key)
			kek, w := mustCreate(t, k, "one")
			sound := get(t, fsys, file)
			d.do(t, fsys, file)
			wantFault(t, k.Health(t.Context()), file, d.cause, d.kind, d.remedy)
			before := dump(t, fsys)
			_, err := Open(t.Context(), Options{FS: fsys, Key: key})
			wantFault(t, err, file, d.cause, d.kind, d.remedy)
			if after := dump(t, fsys); !sameFiles(before, after) {
				t.Error("a refused opening changed files")
			}
			put(t, fsys, file, sound)
			mustUnwrap(t, mustOpen(t, fsys, key), w, kek)
		})
	}
}

func TestKeyFileDamaged(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
			k := mustOpen(t, fsys, key)
			kek, w := mustCreate(t, k, "one")
			otherKEK, other := mustCreate(t, k, "two")
			file := "keyring/" + k.files.keyName("one")
			sound := get(t, fsys, file)
			d.do(t, fsys, file)

			// While the process runs it has the key, and does not write over the file.
			mustUnwrap(t, k, w, kek)
			before := dump(t, fsys)
			_, err := k.RotateKey(t.Context(), "one")
			wantFault(t, err, file, d.cause, d.kind, d.remedy)
			wantFault(t, k.Health(t.Context()), file, d.cause, d.kind, d.remedy)

			k = mustOpen(t, fsys, key)
			ops := map[string]error{"health": k.Health(t.Context())}
			_, ops["create"] = k.CreateKey(t.Context(), "one")
			_, ops["describe"] = k.DescribeKey(t.Context(), "one")
			_, ops["rotate"] = k.RotateKey(t.Context(), "one")
			_, _, ops["generate"] = k.GenerateKEK(t.Context(), "one", nil)
			_, ops["unwrap"] = k.Unwrap(t.Context(), w, []byte("context"))
			_, ops["rewrap"] = k.Rewrap(t.Context(), w, []byte("context"))
			for _, err := range ops {
				wantFault(t, err, file, d.cause, d.kind, d.remedy)
			}
			page, err := k.ListKeys(t.Context(), "", 0)
			if err != nil || len(page.Keys) != 2 || page.Keys[0].ID != "one" || page.Keys[1].Fault != nil {
				t.Fatalf("listed %+v, %v", page, err)
			}
			wantFault(t, page.Keys[0].Fault, file, d.cause, d.kind, d.remedy)
			if after := dump(t, fsys); !sameFiles(before, after) {
				t.Error("operations on a damaged key changed files")
			}

			// The other key goes on, and the restored file is taken up again.
			mustUnwrap(t, k, other, otherKEK)
			if _, err := k.RotateKey(t.Context(), "two"); err != nil {
				t.Error(err)
			}
			put(t, fsys, file, sound)
			mustUnwrap(t, k, w, kek)
			if err := k.Health(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUnlistedFile has a key file that the list does not name, as after a power
// cut in the middle of a creation: a sound one is taken in, another is left alone.
func TestUnlistedFile(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	before := get(t, fsys, "keyring/instance")
	kek, w := mustCreate(t, k, "one")
	file := "keyring/" + k.files.keyName("one")
	put(t, fsys, "keyring/instance", before)
	mustUnwrap(t, mustOpen(t, fsys, key), w, kek)
	remove(t, fsys, file) // it is listed now, so its loss is seen
	_, err := mustOpen(t, fsys, key).CreateKey(t.Context(), "one")
	wantFault(t, err, file, ErrMissing, kms.Crypto, "restore")

	put(t, fsys, "keyring/instance", before)
	put(t, fsys, file, []byte("nonsense"))
	k = mustOpen(t, fsys, key)
	wantFault(t, k.Health(t.Context()), file, ErrDamaged, kms.Crypto, "restore")
	_, err = k.CreateKey(t.Context(), "one")
	wantFault(t, err, file, ErrDamaged, kms.Crypto, "restore")
	if string(get(t, fsys, file)) != "nonsense" {
		t.Error("the file was replaced")
	}
}

// TestLoadedKeyStaysLoaded loses a file between two calls that both wanted to
// load it.
func TestLoadedKeyStaysLoaded(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	k := mustOpen(t, fsys, keyringKey())
	kek, w := mustCreate(t, k, "one")
	remove(t, fsys, "keyring/"+k.files.keyName("one"))
	if err := k.reload(k.entries["one"]); err != nil {
		t.Error(err)
	}
	mustUnwrap(t, k, w, kek)
}

// TestEveryBitOfFiles flips each bit of both kinds of file.
func TestEveryBitOfFiles(t *testing.T) {
	t.Parallel()
	key := keyringKey()
	box := cipher.NewBox(key)
	for k, name := range map[kind]string{kindInstance: instanceName, kindKey: "0123.key"} {
		data := sealFile(box, name, k, []byte("the body"))
		for bit := range len(data) * 8 {
			data[bit/8] ^= 1 << (bit % 8)
			if _, err := openFile(box, name, k, data); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("%s with bit %d flipped: %v", name, bit, err)
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
		if _, err := openFile(box, name, k, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := openFile(box, "4567.key", k, data); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s under another name: %v", name, err)
		}
	}
}

func TestFilesExchanged(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	mustCreate(t, k, "one")
	mustCreate(t, k, "two")
	one, two := "keyring/"+k.files.keyName("one"), "keyring/"+k.files.keyName("two")
	put(t, fsys, one, get(t, fsys, two))
	_, err := mustOpen(t, fsys, key).DescribeKey(t.Context(), "one")
	wantFault(t, err, one, ErrDamaged, kms.Crypto, "restore")
}

func TestFileOfAnotherKeyring(t *testing.T) {
	t.Parallel()
	key := keyringKey() // the same for both, as two directories of one store
	a, b := disktest.NewCrash(disktest.Options{}), disktest.NewCrash(disktest.Options{})
	ka, kb := mustOpen(t, a, key), mustOpen(t, b, key)
	mustCreate(t, ka, "one")
	mustCreate(t, kb, "one")
	file := "keyring/" + ka.files.keyName("one")
	put(t, a, file, get(t, b, file))
	_, err := mustOpen(t, a, key).DescribeKey(t.Context(), "one")
	wantFault(t, err, file, ErrDamaged, kms.Crypto, "restore")
	if !strings.Contains(err.Error(), kb.Instance().String()) {
		t.Errorf("the error does not name the other keyring: %v", err)
	}
}

// TestFileUnderTheNameOfAnotherKey seals a body under a name that is not its own.
func TestFileUnderTheNameOfAnotherKey(t *testing.T) {
	t.Parallel()
	fsys, key := disktest.NewCrash(disktest.Options{}), keyringKey()
	k := mustOpen(t, fsys, key)
	mustCreate(t, k, "one")
	mustCreate(t, k, "two")
	body, err := k.files.read(k.files.keyName("two"), kindKey)
	if err != nil {
		t.Fatal(err)
	}
	name := k.files.keyName("one")
	if err := k.files.write(name, kindKey, body); err != nil {
		t.Fatal(err)
	}
	_, err = mustOpen(t, fsys, key).DescribeKey(t.Context(), "one")
	wantFault(t, err, "keyring/"+name, ErrDamaged, kms.Crypto, "restore")
}

func TestWrongStoreKey(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	mustCreate(t, mustOpen(t, fsys, keyringKey()), "one")
	_, err := Open(t.Context(), Options{FS: fsys, Key: keyringKey()})
	wantFault(t, err, "keyring/instance", ErrDamaged, kms.Crypto, "belongs to another store")
}

func TestNamesHideIDs(t *testing.T) {
	t.Parallel()
	const id = "distinctive-key-id"
	fsys := disktest.NewCrash(disktest.Options{})
	k := mustOpen(t, fsys, keyringKey())
	mustCreate(t, k, id)
	for name, data := range dump(t, fsys) {
		if strings.Contains(name, id) || bytes.Contains(data, []byte(id)) {
			t.Errorf("%s tells the key id", name)
		}
	}
	if a, b := k.files.keyName(id), mustOpen(t, disktest.NewCrash(disktest.Options{}), keyringKey()).files.keyName(id); a == b {
		t.Error("two stores give a key the same file name")
	}
}

// dump reads all files of the keyring.
func dump(t testing.TB, fsys disk.Volume) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for e, err := range fsys.ReadDir("keyring") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := disk.ReadFile(fsys, "keyring/"+e.Name, 2*maxFileSize)
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name] = data
	}
	return all
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		other, ok := b[name]
		if !ok || !bytes.Equal(data, other) {
			return false
		}
	}
	return true
}
