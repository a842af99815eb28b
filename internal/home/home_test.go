package home

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
	"coffer/kms/storekey"
)

// options gives a store of its own, with the default key file.
func options(t *testing.T) Options {
	t.Helper()
	root := t.TempDir()
	p := Places{Config: filepath.Join(root, "etc"), Data: filepath.Join(root, "data")}
	p.UnlockKey = filepath.Join(p.Config, UnlockKeyFile)
	return Options{Places: p, Unlock: Unlock{KeyFile: p.UnlockKey}}
}

// start opens a store and closes it again.
func start(t *testing.T, o Options) *Home {
	t.Helper()
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return h
}

// serve does what a server leaves behind: a metastore.
func serve(t *testing.T, o Options) *Home {
	t.Helper()
	h := start(t, o)
	put(t, filepath.Join(o.Places.Data, metaDir, "MANIFEST"), "x")
	return h
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// tree gives the mode and the digest of everything below the store's parent.
func tree(t *testing.T, o Options) map[string]string {
	t.Helper()
	entries := map[string]string{}
	root := filepath.Dir(o.Places.Data)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := []byte{}
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		entries[strings.TrimPrefix(path, root)] = fmt.Sprintf("%v %x", info.Mode(), sha256.Sum256(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	o := options(t)
	h := start(t, o)
	if !h.New || h.Stored || h.Replaced || h.RootFrom != CredentialsMade || h.StoreID.IsZero() {
		t.Errorf("first start: %+v", h)
	}
	want := map[string]string{
		"/etc": "drwx------", "/data": "drwx------", "/etc/store.key": "-rw-------", "/etc/unlock.key": "-rw-------",
		"/etc/root.credentials": "-rw-------", "/etc/keyring": "drwx------", "/data/store": "-rw-------",
	}
	got := map[string]string{}
	for path, what := range tree(t, o) {
		if path != "" {
			got[path], _, _ = strings.Cut(what, " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and modes (-want +got):\n%s", diff)
	}
	marker, err := os.ReadFile(filepath.Join(o.Places.Data, "store"))
	if err != nil || string(marker) != "coffer store 1 "+h.StoreID.String()+"\n" {
		t.Errorf("marker %q, %v", marker, err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	o := options(t)
	first := serve(t, o)
	before := tree(t, o)
	again := start(t, o)
	if again.New || !again.Stored || again.RootFrom != CredentialsKept {
		t.Errorf("restart: %+v", again)
	}
	if again.StoreID != first.StoreID || again.Fingerprint != first.Fingerprint || again.Root.User != first.Root.User ||
		string(again.Root.Password.Expose()) != string(first.Root.Password.Expose()) {
		t.Error("a restart finds another store, key or identity")
	}
	if diff := cmp.Diff(before, tree(t, o)); diff != "" {
		t.Errorf("a restart changes files (-before +after):\n%s", diff)
	}
}

func TestGivenCredentials(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Root = Credentials{User: "admin", Password: secret.New([]byte("correct horse"))}
	h := start(t, o)
	if h.Root.User != "admin" || h.RootFrom != CredentialsGiven {
		t.Errorf("credentials: %+v", h)
	}
	if _, err := os.Stat(o.Places.Credentials()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("given credentials are kept in a file: %v", err)
	}
}

func TestAcceptEmptyData(t *testing.T) {
	t.Parallel()
	o := options(t)
	first := serve(t, o)
	remove(t, o.Places.Data)
	o.AcceptEmptyData = true
	h := start(t, o)
	if h.StoreID != first.StoreID || !h.Replaced || h.Stored {
		t.Errorf("replaced disk: %+v", h)
	}
	o.AcceptEmptyData = false
	if h := start(t, o); h.Replaced || h.New {
		t.Errorf("the start after: %+v", h)
	}
}

func TestKeysBesideDataAccepted(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Places.Config = filepath.Join(o.Places.Data, "etc")
	o.KeysBesideData = true
	put(t, filepath.Join(o.Places.Config, "coffer.yaml"), "")
	start(t, o)
	start(t, o)
	o = options(t)
	o.Places.Config, o.KeysBesideData = o.Places.Data, true
	if _, err := Open(o); !errors.Is(err, ErrOneDirectory) {
		t.Errorf("one directory for both: %v", err)
	}
}

func TestSecondProcess(t *testing.T) {
	t.Parallel()
	o := options(t)
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"Open":  func() error { _, err := Open(o); return err },
		"InUse": func() error { return InUse(o.Places) },
	} {
		if err := try(); !is[*InUseError](err) || !strings.Contains(err.Error(), o.Places.Data) {
			t.Errorf("%s: %v, want an error that names %s", name, err, o.Places.Data)
		}
	}
	other := o
	other.Places.Data = o.Places.Data + "2"
	other.AcceptEmptyData = true
	if _, err := Open(other); !is[*InUseError](err) || !strings.Contains(err.Error(), "keyring") {
		t.Errorf("the same keyring with other data: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := InUse(o.Places); err != nil {
		t.Errorf("after Close: %v", err)
	}
	start(t, o)
}

// TestFirstStartsAtOnce: of several first starts with one configuration
// directory, one makes the store, and the others leave its keys alone.
func TestFirstStartsAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		o := options(t)
		homes := make([]*Home, 4)
		var all sync.WaitGroup
		for i := range homes {
			all.Go(func() {
				mine := o
				mine.Places.Data = fmt.Sprintf("%s%d", o.Places.Data, i)
				homes[i], _ = Open(mine)
			})
		}
		all.Wait()
		winners := 0
		for i, h := range homes {
			if h == nil {
				continue
			}
			winners++
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			o.Places.Data = fmt.Sprintf("%s%d", filepath.Dir(o.Places.Data)+"/data", i)
			if again := start(t, o); again.StoreID != h.StoreID || again.Fingerprint != h.Fingerprint {
				t.Error("the store that was made has another key afterwards")
			}
		}
		if winners != 1 {
			t.Errorf("%d first starts succeeded", winners)
		}
	}
}

// TestUnlockOrder gives several secrets at once: the first of passphrase, key,
// key file, person counts.
func TestUnlockOrder(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Unlock.Passphrase = secret.New([]byte("first slot"))
	h := serve(t, o)
	if _, err := os.Stat(o.Places.UnlockKey); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file was made although a passphrase was given: %v", err)
	}
	o.Unlock.Passphrase = secret.Value{}
	asked := ""
	o.Ask = func(prompt string) ([]byte, error) {
		asked = prompt
		return []byte("first slot"), nil
	}
	if again := start(t, o); again.Fingerprint != h.Fingerprint || asked == "" {
		t.Errorf("a person was not asked, or another key came out")
	}
	put(t, o.Places.UnlockKey, string(storekey.NewKeyFile()))
	if _, err := Open(o); !errors.Is(err, storekey.ErrWrongSecret) || !strings.Contains(err.Error(), "opened by key file") {
		t.Errorf("a key file comes before a person: %v", err)
	}
	o.Unlock.Key = secret.New([]byte("from the environment"))
	if _, err := Open(o); !errors.Is(err, storekey.ErrWrongSecret) || !strings.Contains(err.Error(), "opened by environment") {
		t.Errorf("a key of the environment comes before a key file: %v", err)
	}
	o.Unlock.Passphrase = secret.New([]byte("first slot"))
	start(t, o)
}
