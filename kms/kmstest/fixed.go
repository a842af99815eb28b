package kmstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// FixedKey is the id of the one key of a backend that RunFixed tests.
const FixedKey = testKey

// FixedBackend is a backend with one key that cannot make others.
type FixedBackend interface {
	kms.Backend
	kms.Admin
}

// RunFixed holds a backend that has FixedKey, with one version and nothing
// else, to the data path of the interfaces of package kms, and to answering
// Unsupported to everything that would need another key or state. open gives
// another key each time.
func RunFixed(t *testing.T, open func(t *testing.T) FixedBackend) {
	t.Helper()
	asBackend := func(t *testing.T) Backend { return grown{open(t)} }
	runCases(t, asBackend, []suiteCase{
		{"Instance", testInstance},
		{"GenerateUnwrap", testGenerateUnwrap},
		{"Contexts", testContexts},
		{"ContextLimit", testContextLimit},
		{"BlobAlone", testBlobAlone},
		{"CiphertextBits", testCiphertextBits},
		{"CiphertextLength", testCiphertextLength},
		{"OtherInstance", testOtherInstance},
		{"CallerKeepsSlices", testCallerKeepsSlices},
		{"Health", testHealth},
		{"Encrypt", testEncrypt},
		{"EncryptLimits", testEncryptLimits},
		{"EncryptBinds", testEncryptBinds},
		{"EncryptAndKEKs", testEncryptAndKEKs},
		{"WrapKEK", testWrapKEK},
		{"Unsupported", testUnsupported},
		{"FixedNotFound", testFixedNotFound},
		{"FixedList", testFixedList},
		{"FixedCancelled", testFixedCancelled},
	})
}

func testUnsupported(t *testing.T, open Open) {
	b := open(t)
	errs := amendments(t.Context(), b, testKey)
	delete(errs, "encrypt")
	_, errs["create"] = b.CreateKey(t.Context(), "other")
	_, errs["create with"] = b.CreateKeyWith(t.Context(), kms.KeySpec{KeyID: "other", Description: "d"})
	_, errs["rotate"] = b.RotateKey(t.Context(), testKey)
	for name, err := range errs {
		t.Run(name, func(t *testing.T) { wantKind(t, err, kms.Unsupported) })
	}
	_, err := b.CreateKey(t.Context(), testKey)
	wantKind(t, err, kms.AlreadyExists)
	if c := kms.CapabilitiesOf(b.(grown).FixedBackend); c.Create || c.Lifecycle || c.Describe {
		t.Errorf("it claims to be capable of %+v", c)
	}
}

func testFixedNotFound(t *testing.T, open Open) {
	b := open(t)
	_, w := issue(t, b, testKey)
	w.KeyID = "absent"
	refuse(t, b, w, testContext(), kms.NotFound)
	_, err := b.DescribeKey(t.Context(), "absent")
	wantKind(t, err, kms.NotFound)
	_, _, err = b.GenerateKEK(t.Context(), "absent", nil)
	wantKind(t, err, kms.NotFound)
	_, _, err = b.GenerateKEK(t.Context(), "a\nb", nil)
	wantKind(t, err, kms.Invalid)
}

func testFixedList(t *testing.T, open Open) {
	b := open(t)
	for after, want := range map[string]int{"": 1, "a": 1, testKey: 0, "z": 0} {
		page, err := b.ListKeys(t.Context(), after, 0)
		if err != nil || len(page.Keys) != want || page.More {
			t.Errorf("after %q: %+v, %v", after, page, err)
		}
	}
	info := describe(t, b, testKey)
	if info.ID != testKey || info.State != kms.StateEnabled || info.Origin == "" || len(info.Versions) != 1 ||
		info.Newest().Number != 1 || info.Newest().Fingerprint.IsZero() || info.Algorithm != kms.AlgorithmAES256 {
		t.Errorf("described as %+v", info)
	}
}

func testFixedCancelled(t *testing.T, open Open) {
	b := open(t)
	_, w := issue(t, b, testKey)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, generateErr := b.GenerateKEK(ctx, testKey, nil)
	_, unwrapErr := b.Unwrap(ctx, w, testContext())
	_, rewrapErr := b.Rewrap(ctx, w, testContext())
	_, encryptErr := b.Encrypt(ctx, testKey, []byte("text"), nil)
	_, listErr := b.ListKeys(ctx, "", 0)
	for _, err := range []error{generateErr, unwrapErr, rewrapErr, encryptErr, listErr, b.Health(ctx)} {
		wantKind(t, err, kms.Unavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not wrap context.Canceled", err)
		}
	}
}

// grown gives a backend the methods that it lacks, from the functions of
// package kms.
type grown struct{ FixedBackend }

func (g grown) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	return kms.CreateKeyWith(ctx, g.FixedBackend, spec)
}

func (g grown) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return kms.EnableKey(ctx, g.FixedBackend, keyID)
}

func (g grown) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return kms.DisableKey(ctx, g.FixedBackend, keyID)
}

func (g grown) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	return kms.ScheduleDeletion(ctx, g.FixedBackend, keyID, window)
}

func (g grown) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return kms.CancelDeletion(ctx, g.FixedBackend, keyID)
}

func (g grown) DestroyKey(ctx context.Context, keyID string) error {
	return kms.DestroyKey(ctx, g.FixedBackend, keyID)
}

func (g grown) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return kms.SetDescription(ctx, g.FixedBackend, keyID, text)
}

func (g grown) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return kms.SetTags(ctx, g.FixedBackend, keyID, tags)
}

func (g grown) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return kms.RemoveTags(ctx, g.FixedBackend, keyID, names...)
}

func (g grown) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return kms.SetMaxAge(ctx, g.FixedBackend, keyID, age)
}

func (g grown) Encrypt(ctx context.Context, keyID string, plaintext, keyContext []byte) (kms.Wrapped, error) {
	return kms.Encrypt(ctx, g.FixedBackend, keyID, plaintext, keyContext)
}

func (g grown) Decrypt(ctx context.Context, w kms.Wrapped, keyContext []byte) ([]byte, error) {
	return kms.Decrypt(ctx, g.FixedBackend, w, keyContext)
}

func (g grown) WrapKEK(ctx context.Context, keyID string, kek *cipher.KEK, keyContext []byte) (kms.Wrapped, error) {
	return kms.WrapKEK(ctx, g.FixedBackend, keyID, kek, keyContext)
}

func (g grown) RewrapBatch(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	return kms.RewrapBatch(ctx, g.FixedBackend, items)
}
