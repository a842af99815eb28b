package kmstest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"coffer/cipher"
	"coffer/kms"
)

// Backend is what the suite tests: the data path, the administration, and
// everything that a backend may add to them.
type Backend interface { //nolint:interfacebloat // it joins small interfaces, and declares none of its own
	kms.Backend
	kms.Admin
	kms.Creator
	kms.Lifecycle
	kms.Describer
	kms.Crypter
	kms.Wrapper
	kms.BatchRewrapper
}

// Open opens a backend that is empty and an instance of its own. It closes the
// backend by t.Cleanup.
type Open func(t *testing.T) Backend

// suiteCase is one case of a suite.
type suiteCase struct {
	name string
	test func(*testing.T, Open)
}

// Run holds a backend to what the interfaces of package kms promise. Every
// backend runs the same cases.
func Run(t *testing.T, open Open) {
	t.Helper()
	runCases(t, open, []suiteCase{
		{"Instance", testInstance},
		{"CreateDescribe", testCreateDescribe},
		{"KeyIDs", testKeyIDs},
		{"NotFound", testNotFound},
		{"List", testList},
		{"GenerateUnwrap", testGenerateUnwrap},
		{"Contexts", testContexts},
		{"ContextLimit", testContextLimit},
		{"BlobAlone", testBlobAlone},
		{"CiphertextBits", testCiphertextBits},
		{"CiphertextLength", testCiphertextLength},
		{"OtherKey", testOtherKey},
		{"OtherInstance", testOtherInstance},
		{"WrappedFields", testWrappedFields},
		{"Rotate", testRotate},
		{"Rewrap", testRewrap},
		{"RewrapCurrent", testRewrapCurrent},
		{"RewrapRefuses", testRewrapRefuses},
		{"CallerKeepsSlices", testCallerKeepsSlices},
		{"Cancelled", testCancelled},
		{"Errors", testErrors},
		{"ConcurrentCreate", testConcurrentCreate},
		{"ConcurrentUse", testConcurrentUse},
		{"Health", testHealth},
		{"CreateWith", testCreateWith},
		{"CreateWithRefuses", testCreateWithRefuses},
		{"EnableDisable", testEnableDisable},
		{"Deletion", testDeletion},
		{"DeletionWindow", testDeletionWindow},
		{"Destroy", testDestroy},
		{"DestroyAndMakeAnew", testDestroyAndMakeAnew},
		{"LifecycleNotFound", testLifecycleNotFound},
		{"LifecycleCancelled", testLifecycleCancelled},
		{"Description", testDescription},
		{"Tags", testTags},
		{"TagLimits", testTagLimits},
		{"MaxAge", testMaxAge},
		{"Encrypt", testEncrypt},
		{"EncryptLimits", testEncryptLimits},
		{"EncryptBinds", testEncryptBinds},
		{"EncryptAndKEKs", testEncryptAndKEKs},
		{"EncryptStates", testEncryptStates},
		{"WrapKEK", testWrapKEK},
		{"RewrapBatch", testRewrapBatch},
		{"RewrapBatchSize", testRewrapBatchSize},
		{"ConcurrentLifecycle", testConcurrentLifecycle},
	})
}

func runCases(t *testing.T, open Open, cases []suiteCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

// canary stands in contexts; no error may repeat it.
const canary = "canary-b0b5c9"

// testKey and testContext are what most cases use.
const testKey = "tenant/äλ 1"

func testContext() []byte { return []byte(`{"bucket":"` + canary + `"}`) }

// create makes keys. A backend that RunFixed tests must have them.
func create(t *testing.T, b Backend, keyIDs ...string) {
	t.Helper()
	for _, id := range keyIDs {
		bring := b.CreateKey
		if _, fixed := b.(grown); fixed {
			bring = b.DescribeKey
		}
		_, err := bring(t.Context(), id)
		if err != nil {
			t.Fatalf("create key %q: %v", id, err)
		}
	}
}

// issue makes a wrapped KEK.
func issue(t *testing.T, b Backend, keyID string) (*cipher.KEK, kms.Wrapped) {
	t.Helper()
	kek, w, err := b.GenerateKEK(t.Context(), keyID, testContext())
	if err != nil {
		t.Fatalf("generate KEK: %v", err)
	}
	return kek, w
}

// wantKEK unwraps and compares.
func wantKEK(t *testing.T, b Backend, w kms.Wrapped, keyContext []byte, want *cipher.KEK) {
	t.Helper()
	got, err := b.Unwrap(t.Context(), w, keyContext)
	if err != nil {
		t.Fatalf("unwrap: %v", err)
	}
	if !got.Equal(want) {
		t.Fatal("unwrap gave another KEK")
	}
}

// wantKind checks an error: its kind, its type, and that it tells no context.
func wantKind(t *testing.T, err error, want kms.Kind) {
	t.Helper()
	var e *kms.Error
	switch {
	case err == nil:
		t.Errorf("no error, want %v", want)
	case !errors.As(err, &e):
		t.Errorf("error of type %T: %v", err, err)
	case e.Kind != want || !errors.Is(err, want):
		t.Errorf("kind %v, want %v: %v", e.Kind, want, err)
	case e.Op == "":
		t.Errorf("the error names no operation: %v", err)
	case strings.Contains(err.Error(), canary):
		t.Errorf("the error repeats the context: %v", err)
	}
}

// refuse checks that neither Unwrap nor Rewrap takes w.
func refuse(t *testing.T, b Backend, w kms.Wrapped, keyContext []byte, want kms.Kind) {
	t.Helper()
	kek, err := b.Unwrap(t.Context(), w, keyContext)
	wantKind(t, err, want)
	if kek != nil {
		t.Error("Unwrap gave a KEK with its error")
	}
	next, err := b.Rewrap(t.Context(), w, keyContext)
	wantKind(t, err, want)
	if next.Ciphertext != nil {
		t.Error("Rewrap gave a wrapped KEK with its error")
	}
}

// with returns w with a ciphertext of its own, changed by fn.
func with(w kms.Wrapped, fn func(w *kms.Wrapped)) kms.Wrapped {
	w.Ciphertext = bytes.Clone(w.Ciphertext)
	fn(&w)
	return w
}
