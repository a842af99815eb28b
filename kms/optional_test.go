package kms_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
)

// TestCodes holds the table together: every kind has an answer of its own, and
// only what may help to repeat is 503, because mc repeats 503 for minutes.
func TestCodes(t *testing.T) {
	t.Parallel()
	retryable := []kms.Kind{kms.Throttled, kms.Unavailable}
	admin := map[kms.Code]kms.Kind{}
	for _, k := range kms.Kinds() {
		c := k.Codes()
		for door, code := range map[string]kms.Code{"S3": c.S3, "admin": c.Admin, "mc": c.MC} {
			if code.Name == "" || code.Status < 400 || code.Status > 599 {
				t.Errorf("%v on %s: %+v", k, door, code)
			}
			if got := code.Status == 503; got != slices.Contains(retryable, k) {
				t.Errorf("%v on %s: status %d", k, door, code.Status)
			}
		}
		if other, twice := admin[c.Admin]; twice {
			t.Errorf("%v is answered as %v on the admin API", k, other)
		}
		admin[c.Admin] = k
	}
	if c := kms.NotConfigured.Codes(); c.S3.Status != 501 || c.MC.Status != 501 || c.MC.Name != "NotImplemented" {
		t.Errorf("not configured: %+v", c)
	}
	if c := kms.Kind(200).Codes(); c.S3.Status != 500 {
		t.Errorf("unknown kind: %+v", c)
	}
}

// bare is a backend that has nothing optional.
type bare struct {
	kms.Backend
	kms.Admin
}

func TestFallbacks(t *testing.T) {
	t.Parallel()
	fake := kmstest.NewFake("k")
	b := bare{fake, fake}
	ctx := t.Context()
	errOf := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"enable":   errOf(kms.EnableKey(ctx, b, "k")),
		"disable":  errOf(kms.DisableKey(ctx, b, "k")),
		"schedule": errOf(kms.ScheduleDeletion(ctx, b, "k", kms.MinDeletionWindow)),
		"cancel":   errOf(kms.CancelDeletion(ctx, b, "k")),
		"destroy":  kms.DestroyKey(ctx, b, "k"),
		"text":     errOf(kms.SetDescription(ctx, b, "k", "")),
		"tags":     errOf(kms.SetTags(ctx, b, "k", nil)),
		"no tags":  errOf(kms.RemoveTags(ctx, b, "k")),
		"age":      errOf(kms.SetMaxAge(ctx, b, "k", 0)),
		"encrypt":  errOf(kms.Encrypt(ctx, b, "k", nil, nil)),
		"decrypt":  errOf(kms.Decrypt(ctx, b, kms.Wrapped{KeyID: "k"}, nil)),
		"wrap":     errOf(kms.WrapKEK(ctx, b, "k", cipher.NewKEK(), nil)),
		"create":   errOf(kms.CreateKeyWith(ctx, b, kms.KeySpec{KeyID: "n", Description: "d"})),
		"nothing":  errOf(kms.CreateKeyWith(ctx, struct{}{}, kms.KeySpec{KeyID: "n"})),
	} {
		var e *kms.Error
		if !errors.Is(err, kms.Unsupported) || !errors.As(err, &e) || e.KeyID == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := kms.CreateKeyWith(ctx, b, kms.KeySpec{KeyID: "n", Algorithm: kms.AlgorithmAES256}); err != nil {
		t.Error(err)
	}
	if got := kms.CapabilitiesOf(b); got != (kms.Capabilities{Create: true}) {
		t.Errorf("capabilities %+v", got)
	}
	want := kms.Capabilities{Create: true, Lifecycle: true, Describe: true, Encrypt: true, Batch: true}
	if got := kms.CapabilitiesOf(fake); got != want {
		t.Errorf("capabilities %+v", got)
	}
	if r := kms.ReportOf(b); r.Circuit != kms.CircuitNone || r.Notes != nil {
		t.Errorf("report %+v", r)
	}
	fake.SetReport(kms.Report{Circuit: kms.CircuitOpen})
	if r := kms.ReportOf(fake); r.Circuit != kms.CircuitOpen {
		t.Errorf("report %+v", r)
	}
}

// TestRewrapBatchSplits gives more items than a batch may have.
func TestRewrapBatchSplits(t *testing.T) {
	t.Parallel()
	fake := kmstest.NewFake("k")
	_, w, err := fake.GenerateKEK(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fake.RotateKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	items := slices.Repeat([]kms.RewrapItem{{Wrapped: w}}, 2*kms.MaxBatch+1)
	items[kms.MaxBatch].Context = []byte("other")
	for name, b := range map[string]kms.Backend{"batches": fake, "one by one": bare{fake, fake}} {
		results := kms.RewrapBatch(t.Context(), b, items)
		if len(results) != len(items) {
			t.Fatalf("%s: %d results", name, len(results))
		}
		for i, r := range results {
			if (r.Err != nil) != (i == kms.MaxBatch) {
				t.Errorf("%s: item %d: %v", name, i, r.Err)
			}
		}
	}
	if n := fake.Calls(kmstest.OpRewrapBatch); n != 3 {
		t.Errorf("%d batches", n)
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	made := time.Unix(1000, 0)
	k := kms.KeyInfo{MaxAge: time.Minute, Versions: []kms.KeyVersion{{Created: made.Add(-time.Hour)}, {Created: made}}}
	if k.RotationDue(made.Add(time.Minute-1)) || !k.RotationDue(made.Add(time.Minute)) {
		t.Error("rotation is due at the wrong time")
	}
	k.State, k.DeleteAfter = kms.StatePendingDeletion, made
	if k.DeletionDue(made.Add(-1)) || !k.DeletionDue(made) {
		t.Error("deletion is due at the wrong time")
	}
	k.State = kms.StateEnabled
	if k.DeletionDue(made) {
		t.Error("deletion of an enabled key is due")
	}
}

func TestCircuitHasWords(t *testing.T) {
	t.Parallel()
	var got []string
	for c := kms.CircuitNone; c <= kms.CircuitHalfOpen+1; c++ {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{"none", "closed", "open", "half-open", "unknown"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWrapThroughCrypter wraps through a Crypter where there is no Wrapper.
func TestWrapThroughCrypter(t *testing.T) {
	t.Parallel()
	fake := kmstest.NewFake("k")
	b := struct {
		kms.Backend
		kms.Crypter
	}{fake, fake}
	kek := cipher.NewKEK()
	w, err := kms.WrapKEK(context.Background(), b, "k", kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fake.Unwrap(t.Context(), w, nil); err != nil || !got.Equal(kek) {
		t.Errorf("another KEK, %v", err)
	}
}
