package kmstest

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
)

// encrypt encrypts under testKey and testContext.
func encrypt(t *testing.T, b Backend, plaintext []byte) kms.Wrapped {
	t.Helper()
	w, err := b.Encrypt(t.Context(), testKey, plaintext, testContext())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// wantPlaintext decrypts and compares, with everything that is known and with
// the blob alone.
func wantPlaintext(t *testing.T, b Backend, w kms.Wrapped, want []byte) {
	t.Helper()
	got, err := b.Decrypt(t.Context(), w, testContext())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("decrypted to %d bytes of %d, %v", len(got), len(want), err)
	}
	got, err = kms.DecryptBlob(t.Context(), b, w.Blob(), testContext())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the blob alone decrypted to %d bytes of %d, %v", len(got), len(want), err)
	}
}

func testEncrypt(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	info := describe(t, b, testKey)
	texts := map[string]bool{}
	for _, size := range []int{1, 31, 32, 33, kms.MaxPlaintextSize} {
		for range 2 {
			plaintext := bytes.Repeat([]byte(canary), size/len(canary)+1)[:size]
			w := encrypt(t, b, plaintext)
			if w.Instance != b.Instance() || w.KeyID != testKey || w.Version != 1 || w.Fingerprint != info.Newest().Fingerprint {
				t.Errorf("wrapped %+v", w)
			}
			if err := w.Check(); err != nil {
				t.Error(err)
			}
			if bytes.Contains(w.Ciphertext, []byte(canary)) {
				t.Error("the ciphertext holds the plaintext")
			}
			texts[string(w.Ciphertext)] = true
			wantPlaintext(t, b, w, plaintext)
			clear(plaintext)
		}
	}
	if len(texts) != 10 {
		t.Errorf("10 calls gave %d ciphertexts", len(texts))
	}
}

func testEncryptLimits(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	for _, size := range []int{0, kms.MaxPlaintextSize + 1} {
		_, err := b.Encrypt(t.Context(), testKey, make([]byte, size), nil)
		wantKind(t, err, kms.Invalid)
	}
	_, err := b.Encrypt(t.Context(), testKey, []byte("text"), make([]byte, kms.MaxContextSize+1))
	wantKind(t, err, kms.Invalid)
	w := encrypt(t, b, []byte("text"))
	_, err = b.Decrypt(t.Context(), w, make([]byte, kms.MaxContextSize+1))
	wantKind(t, err, kms.Invalid)
	_, err = b.Decrypt(t.Context(), kms.Wrapped{KeyID: testKey}, nil)
	wantKind(t, err, kms.Invalid)
	_, err = kms.DecryptBlob(t.Context(), b, []byte{0, 0, 0, 9, 'k'}, nil)
	wantKind(t, err, kms.Invalid)
}

func testEncryptBinds(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	w := encrypt(t, b, []byte("text"))
	denied := func(w kms.Wrapped, keyContext []byte, want kms.Kind) {
		t.Helper()
		got, err := b.Decrypt(t.Context(), w, keyContext)
		wantKind(t, err, want)
		if got != nil {
			t.Error("Decrypt gave a plaintext with its error")
		}
	}
	for _, other := range [][]byte{nil, []byte("{}"), append(testContext(), ' ')} {
		denied(w, other, kms.Crypto)
	}
	for i := range w.Ciphertext {
		denied(with(w, func(w *kms.Wrapped) { w.Ciphertext[i] ^= 1 }), testContext(), kms.Crypto)
	}
	for n := 1; n < len(w.Ciphertext); n++ {
		denied(with(w, func(w *kms.Wrapped) { w.Ciphertext = w.Ciphertext[:n] }), testContext(), kms.Crypto)
	}
	denied(with(w, func(w *kms.Wrapped) { w.Instance = cipher.NewInstanceID() }), testContext(), kms.Crypto)
	denied(with(w, func(w *kms.Wrapped) { w.Version = 9 }), testContext(), kms.Crypto)
	denied(with(w, func(w *kms.Wrapped) { w.Fingerprint[0] ^= 1 }), testContext(), kms.Crypto)
	denied(with(w, func(w *kms.Wrapped) { w.KeyID = "absent" }), testContext(), kms.NotFound)
}

// testEncryptAndKEKs shows that a wrapped KEK and a ciphertext are one form.
func testEncryptAndKEKs(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	kek, w := issue(t, b, testKey)
	wantPlaintext(t, b, w, kek.Expose())
	wantKEK(t, b, encrypt(t, b, kek.Expose()), testContext(), kek)
	for _, size := range []int{31, 33} {
		_, err := b.Unwrap(t.Context(), encrypt(t, b, make([]byte, size)), testContext())
		wantKind(t, err, kms.Crypto)
	}
}

func testEncryptStates(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	plaintext := []byte("text")
	old := encrypt(t, b, plaintext)
	if _, err := b.DisableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	_, err := b.Encrypt(t.Context(), testKey, plaintext, nil)
	wantKind(t, err, kms.Disabled)
	_, err = b.WrapKEK(t.Context(), testKey, cipher.NewKEK(), nil)
	wantKind(t, err, kms.Disabled)
	wantPlaintext(t, b, old, plaintext)
	if _, err := b.EnableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
}

// testWrapKEK moves a KEK from one backend to another.
func testWrapKEK(t *testing.T, open Open) {
	a, b := open(t), open(t)
	create(t, a, testKey)
	create(t, b, testKey)
	kek, w := issue(t, a, testKey)
	moved, err := b.WrapKEK(t.Context(), testKey, kek, testContext())
	if err != nil {
		t.Fatal(err)
	}
	if moved.Instance != b.Instance() || moved.KeyID != testKey || moved.Version != 1 || moved.Fingerprint == w.Fingerprint {
		t.Errorf("moved %+v to %+v", w, moved)
	}
	wantKEK(t, b, moved, testContext(), kek)
	refuse(t, b, moved, []byte("other"), kms.Crypto)
	wantKEK(t, a, w, testContext(), kek)
	_, err = b.WrapKEK(t.Context(), testKey, &cipher.KEK{}, testContext())
	wantKind(t, err, kms.Invalid)
	_, err = b.WrapKEK(t.Context(), "absent", kek, testContext())
	if b.Instance() != a.Instance() && err == nil {
		t.Error("wrapped under a key that is not there")
	}
}

func testRewrapBatch(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey, "other", "off")
	kek, old := issue(t, b, testKey)
	_, off := issue(t, b, "off")
	otherKEK, other := issue(t, b, "other")
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DisableKey(t.Context(), "off"); err != nil {
		t.Fatal(err)
	}
	currentKEK, current := issue(t, b, testKey)
	item := func(w kms.Wrapped) kms.RewrapItem { return kms.RewrapItem{Wrapped: w, Context: testContext()} }
	results := b.RewrapBatch(t.Context(), []kms.RewrapItem{
		item(old),
		item(with(old, func(w *kms.Wrapped) { w.Ciphertext[len(w.Ciphertext)-1] ^= 1 })),
		{Wrapped: old, Context: []byte("other")},
		item(current),
		item(off),
		item(with(old, func(w *kms.Wrapped) { w.KeyID = "absent" })),
		item(kms.Wrapped{KeyID: testKey}),
		item(with(old, func(w *kms.Wrapped) { w.Instance = cipher.NewInstanceID() })),
		item(other),
		item(old),
	})
	if len(results) != 10 {
		t.Fatalf("%d results", len(results))
	}
	for i, want := range []kms.Kind{1: kms.Crypto, 2: kms.Crypto, 4: kms.Disabled, 5: kms.NotFound, 6: kms.Invalid, 7: kms.Crypto} {
		if want != kms.Other {
			wantKind(t, results[i].Err, want)
			if results[i].Wrapped.Ciphertext != nil {
				t.Errorf("item %d gave a wrapped KEK with its error", i)
			}
		}
	}
	for i, want := range map[int]*cipher.KEK{0: kek, 9: kek, 3: currentKEK, 8: otherKEK} {
		if results[i].Err != nil {
			t.Fatalf("item %d: %v", i, results[i].Err)
		}
		wantKEK(t, b, results[i].Wrapped, testContext(), want)
	}
	if w := results[0].Wrapped; w.Version != 2 || w.Fingerprint != current.Fingerprint || w.Instance != b.Instance() {
		t.Errorf("rewrapped to %+v", w)
	}
	if diff := cmp.Diff(current, results[3].Wrapped); diff != "" {
		t.Errorf("a current one was rewrapped (-before +after):\n%s", diff)
	}
}

func testRewrapBatchSize(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	if got := b.RewrapBatch(t.Context(), nil); len(got) != 0 {
		t.Errorf("an empty batch gave %d results", len(got))
	}
	kek, w := issue(t, b, testKey)
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	items := make([]kms.RewrapItem, kms.MaxBatch)
	for i := range items {
		items[i] = kms.RewrapItem{Wrapped: w, Context: testContext()}
	}
	results := b.RewrapBatch(t.Context(), items)
	if len(results) != len(items) {
		t.Fatalf("%d results of %d items", len(results), len(items))
	}
	for i, r := range results {
		if r.Err != nil || r.Wrapped.Version != 2 {
			t.Fatalf("item %d: version %d, %v", i, r.Wrapped.Version, r.Err)
		}
	}
	wantKEK(t, b, results[kms.MaxBatch-1].Wrapped, testContext(), kek)
	over := b.RewrapBatch(t.Context(), append(items, items[0]))
	if len(over) != kms.MaxBatch+1 {
		t.Fatalf("%d results of %d items", len(over), kms.MaxBatch+1)
	}
	wantKind(t, over[kms.MaxBatch].Err, kms.Invalid)
}
