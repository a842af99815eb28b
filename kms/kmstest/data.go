package kmstest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
)

func testGenerateUnwrap(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	info, err := b.DescribeKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[cipher.Fingerprint]bool{}
	texts := map[string]bool{}
	for range 16 {
		kek, w := issue(t, b, testKey)
		want := kms.Wrapped{
			Instance: b.Instance(), KeyID: testKey, Version: 1, Fingerprint: info.Newest().Fingerprint,
		}
		got := w
		got.Ciphertext = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("wrapped (-want +got):\n%s", diff)
		}
		if len(w.Ciphertext) == 0 || len(w.Ciphertext) > kms.MaxCiphertextSize {
			t.Errorf("ciphertext of %d bytes", len(w.Ciphertext))
		}
		if bytes.Contains(w.Ciphertext, kek.Expose()) || bytes.Contains(w.Ciphertext, kek.Expose()[:8]) {
			t.Error("the ciphertext holds the KEK")
		}
		seen[kek.Fingerprint()] = true
		texts[string(w.Ciphertext)] = true
		wantKEK(t, b, w, testContext(), kek)
		wantKEK(t, b, w, testContext(), kek) // as often as one likes
	}
	if len(seen) != 16 || len(texts) != 16 {
		t.Errorf("16 calls gave %d KEKs and %d ciphertexts", len(seen), len(texts))
	}
}

func testContexts(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	contexts := [][]byte{nil, {0}, {0, 0}, []byte("{}"), []byte(`{"a":"b"}`), []byte(`{"a":"c"}`), []byte(`{"a":"b"} `)}
	for i, sealed := range contexts {
		kek, w, err := b.GenerateKEK(t.Context(), testKey, sealed)
		if err != nil {
			t.Fatal(err)
		}
		for j, given := range contexts {
			if i == j {
				wantKEK(t, b, w, given, kek)
			} else {
				refuse(t, b, w, given, kms.Crypto)
			}
		}
	}
	kek, w, err := b.GenerateKEK(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantKEK(t, b, w, []byte{}, kek)
}

func testContextLimit(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	longest := bytes.Repeat([]byte("c"), kms.MaxContextSize)
	kek, w, err := b.GenerateKEK(t.Context(), testKey, longest)
	if err != nil {
		t.Fatal(err)
	}
	wantKEK(t, b, w, longest, kek)
	longer := append(longest, 'c')
	_, _, err = b.GenerateKEK(t.Context(), testKey, longer)
	wantKind(t, err, kms.Invalid)
	refuse(t, b, w, longer, kms.Invalid)
}

func testBlobAlone(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	kek, w := issue(t, b, testKey)
	keyID, ciphertext, err := kms.ParseBlob(w.Blob())
	if err != nil {
		t.Fatal(err)
	}
	alone := kms.Wrapped{KeyID: keyID, Ciphertext: ciphertext}
	wantKEK(t, b, alone, testContext(), kek)
	filled, err := b.Rewrap(t.Context(), alone, testContext())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, filled); diff != "" {
		t.Errorf("Rewrap did not fill in the rest (-want +got):\n%s", diff)
	}
}

func testCiphertextBits(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	for bit := range len(w.Ciphertext) * 8 {
		bad := with(w, func(w *kms.Wrapped) { w.Ciphertext[bit/8] ^= 1 << (bit % 8) })
		refuse(t, b, bad, testContext(), kms.Crypto)
		bad.Version, bad.Fingerprint, bad.Instance = 0, cipher.Fingerprint{}, cipher.InstanceID{}
		refuse(t, b, bad, testContext(), kms.Crypto)
	}
}

func testCiphertextLength(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	for n := 1; n < len(w.Ciphertext); n++ {
		refuse(t, b, with(w, func(w *kms.Wrapped) { w.Ciphertext = w.Ciphertext[:n] }), testContext(), kms.Crypto)
	}
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.Ciphertext = append(w.Ciphertext, 0) }), testContext(), kms.Crypto)
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.Ciphertext = nil }), testContext(), kms.Invalid)
	refuse(t, b, with(w, func(w *kms.Wrapped) {
		w.Ciphertext = make([]byte, kms.MaxCiphertextSize+1)
	}), testContext(), kms.Invalid)
}

func testOtherKey(t *testing.T, open Open) {
	b := open(t)
	create(t, b, "one", "two")
	_, w := issue(t, b, "one")
	_, v := issue(t, b, "two")
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.KeyID = "two" }), testContext(), kms.Crypto)
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.KeyID, w.Fingerprint = "two", v.Fingerprint }), testContext(), kms.Crypto)
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.Ciphertext = v.Ciphertext }), testContext(), kms.Crypto)
}

func testOtherInstance(t *testing.T, open Open) {
	a, b := open(t), open(t)
	create(t, a, testKey)
	create(t, b, testKey)
	_, w := issue(t, a, testKey)
	_, v := issue(t, b, testKey)
	refuse(t, b, w, testContext(), kms.Crypto)
	w.Instance, w.Fingerprint = v.Instance, v.Fingerprint
	refuse(t, b, w, testContext(), kms.Crypto)
}

func testWrappedFields(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	_, v := issue(t, b, testKey)
	changes := map[string]func(*kms.Wrapped){
		"instance":                  func(w *kms.Wrapped) { w.Instance = cipher.NewInstanceID() },
		"fingerprint":               func(w *kms.Wrapped) { w.Fingerprint[15] ^= 1 },
		"fingerprint of another":    func(w *kms.Wrapped) { w.Fingerprint = v.Fingerprint },
		"version of another":        func(w *kms.Wrapped) { w.Version = 2 },
		"version that never was":    func(w *kms.Wrapped) { w.Version = 7 },
		"version and fingerprint":   func(w *kms.Wrapped) { w.Version, w.Fingerprint = v.Version, v.Fingerprint },
		"ciphertext of another one": func(w *kms.Wrapped) { w.Ciphertext = v.Ciphertext },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) { refuse(t, b, with(w, change), testContext(), kms.Crypto) })
	}
}

func testRotate(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey, "bystander")
	const versions = 6
	var keks []*cipher.KEK
	var wrapped []kms.Wrapped
	fingerprints := map[cipher.Fingerprint]bool{}
	for n := uint32(1); n <= versions; n++ {
		if n > 1 {
			info, err := b.RotateKey(t.Context(), testKey)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Versions) != int(n) || info.Newest().Number != n {
				t.Errorf("after rotation %d: %+v", n-1, info.Versions)
			}
		}
		kek, w := issue(t, b, testKey)
		if w.Version != n {
			t.Errorf("wrapped by version %d, want %d", w.Version, n)
		}
		fingerprints[w.Fingerprint] = true
		keks, wrapped = append(keks, kek), append(wrapped, w)
	}
	if len(fingerprints) != versions {
		t.Errorf("%d versions have %d fingerprints", versions, len(fingerprints))
	}
	for i := range wrapped {
		wantKEK(t, b, wrapped[i], testContext(), keks[i])
	}
	info, err := b.DescribeKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range info.Versions {
		if v.Number != uint32(i+1) || v.Fingerprint != wrapped[i].Fingerprint || v.Created.Before(info.Created) {
			t.Errorf("version %d is described as %+v", i+1, v)
		}
	}
	if other, err := b.DescribeKey(t.Context(), "bystander"); err != nil || len(other.Versions) != 1 {
		t.Errorf("another key has %d versions (%v)", len(other.Versions), err)
	}
}

func testRewrap(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	kek, w := issue(t, b, testKey)
	for want := uint32(2); want <= 3; want++ {
		info, err := b.RotateKey(t.Context(), testKey)
		if err != nil {
			t.Fatal(err)
		}
		next, err := b.Rewrap(t.Context(), w, testContext())
		if err != nil {
			t.Fatal(err)
		}
		if next.Version != want || next.Fingerprint != info.Newest().Fingerprint ||
			next.KeyID != w.KeyID || next.Instance != w.Instance || bytes.Equal(next.Ciphertext, w.Ciphertext) {
			t.Errorf("rewrapped %+v to %+v", w, next)
		}
		wantKEK(t, b, next, testContext(), kek)
		refuse(t, b, next, []byte("other"), kms.Crypto)
		wantKEK(t, b, w, testContext(), kek) // the old form goes on
		w = next
	}
}

func testRewrapCurrent(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	_, w := issue(t, b, testKey)
	next, err := b.Rewrap(t.Context(), w, testContext())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, next); diff != "" {
		t.Errorf("a current one was rewrapped (-before +after):\n%s", diff)
	}
}

// testRewrapRefuses shows that an old one is verified before it is wrapped anew.
func testRewrapRefuses(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	refuse(t, b, w, []byte("other"), kms.Crypto)
	refuse(t, b, w, nil, kms.Crypto)
	for i := range w.Ciphertext {
		refuse(t, b, with(w, func(w *kms.Wrapped) { w.Ciphertext[i] ^= 0x80 }), testContext(), kms.Crypto)
	}
}

func testCallerKeepsSlices(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	keyContext := testContext()
	kek, w, err := b.GenerateKEK(t.Context(), testKey, keyContext)
	if err != nil {
		t.Fatal(err)
	}
	clear(keyContext)
	kept := with(w, func(*kms.Wrapped) {})
	clear(w.Ciphertext)
	wantKEK(t, b, kept, testContext(), kek)
	first, err := b.Unwrap(t.Context(), kept, testContext())
	if err != nil {
		t.Fatal(err)
	}
	first.Wipe()
	wantKEK(t, b, kept, testContext(), kek)
}

func testCancelled(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"generate": func() error { _, _, err := b.GenerateKEK(ctx, testKey, testContext()); return err },
		"unwrap":   func() error { _, err := b.Unwrap(ctx, w, testContext()); return err },
		"rewrap":   func() error { _, err := b.Rewrap(ctx, w, testContext()); return err },
		"create":   func() error { _, err := b.CreateKey(ctx, "new"); return err },
		"describe": func() error { _, err := b.DescribeKey(ctx, testKey); return err },
		"list":     func() error { _, err := b.ListKeys(ctx, "", 0); return err },
		"rotate":   func() error { _, err := b.RotateKey(ctx, testKey); return err },
		"health":   func() error { return b.Health(ctx) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			err := call()
			wantKind(t, err, kms.Unavailable)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v does not wrap context.Canceled", err)
			}
		})
	}
	if page, err := b.ListKeys(t.Context(), "", 0); err != nil || len(page.Keys) != 1 || len(page.Keys[0].Versions) != 1 {
		t.Errorf("cancelled calls changed the keys: %+v, %v", page, err)
	}
}

func testErrors(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	errOf := func(_ any, err error) error { return err }
	for _, err := range []error{
		errOf(b.CreateKey(t.Context(), testKey)),
		errOf(b.Unwrap(t.Context(), w, []byte(canary+canary))),
		errOf(b.Rewrap(t.Context(), w, []byte(canary+canary))),
	} {
		var e *kms.Error
		if !errors.As(err, &e) {
			t.Fatalf("error of type %T: %v", err, err)
		}
		if e.KeyID != testKey || !strings.Contains(err.Error(), testKey) {
			t.Errorf("the error does not name the key: %v", err)
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error repeats the context: %v", err)
		}
	}
}

func testConcurrentUse(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	const workers, rounds, rotations = 4, 25, 5
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				kek, w, err := b.GenerateKEK(t.Context(), testKey, testContext())
				if err != nil {
					t.Error(err)
					return
				}
				next, err := b.Rewrap(t.Context(), w, testContext())
				if err != nil {
					t.Error(err)
					return
				}
				got, err := b.Unwrap(t.Context(), next, testContext())
				if err != nil || !got.Equal(kek) || next.Version < w.Version {
					t.Errorf("version %d rewrapped to %d: %v", w.Version, next.Version, err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range rotations {
				if _, err := b.RotateKey(t.Context(), testKey); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	info, err := b.DescribeKey(t.Context(), testKey)
	if err != nil || len(info.Versions) != 1+2*rotations {
		t.Errorf("%d versions after %d rotations, %v", len(info.Versions), 2*rotations, err)
	}
}
