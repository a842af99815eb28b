package kmstest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/kms"
)

const day = 24 * time.Hour

// describe describes a key that must be there.
func describe(t *testing.T, b Backend, keyID string) kms.KeyInfo {
	t.Helper()
	info, err := b.DescribeKey(t.Context(), keyID)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// changed checks that a change succeeded and that DescribeKey shows what it
// returned.
func changed(t *testing.T, b Backend, info kms.KeyInfo, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(info, describe(t, b, info.ID)); diff != "" {
		t.Errorf("DescribeKey differs from what the change returned (-returned +described):\n%s", diff)
	}
}

// wantEncrypts checks what operations that encrypt say; nil means that they
// work. Unwrap must work in any case.
func wantEncrypts(t *testing.T, b Backend, keyID string, want error) {
	t.Helper()
	_, _, generateErr := b.GenerateKEK(t.Context(), keyID, nil)
	_, encryptErr := b.Encrypt(t.Context(), keyID, []byte("text"), nil)
	for _, err := range []error{generateErr, encryptErr, kms.CheckEncrypt(t.Context(), b, keyID)} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if want != nil {
		_, err := b.RotateKey(t.Context(), keyID)
		wantKind(t, err, want.(kms.Kind))
	}
}

func testCreateWith(t *testing.T, open Open) {
	b := open(t)
	tags := map[string]string{"team": "x", "äλ": ""}
	spec := kms.KeySpec{
		KeyID: testKey, Algorithm: kms.AlgorithmAES256, Usage: kms.UsageEncryptDecrypt,
		Origin: "EXTERNAL", Description: "line one\nline two", Tags: tags,
	}
	info, err := b.CreateKeyWith(t.Context(), spec)
	changed(t, b, info, err)
	clear(tags)
	info = describe(t, b, testKey)
	got := kms.KeySpec{
		KeyID: info.ID, Algorithm: info.Algorithm, Usage: info.Usage,
		Origin: info.Origin, Description: info.Description, Tags: info.Tags,
	}
	spec.Tags = map[string]string{"team": "x", "äλ": ""}
	if diff := cmp.Diff(spec, got); diff != "" {
		t.Errorf("key (-want +got):\n%s", diff)
	}
	info.Tags["team"] = "y"
	if again := describe(t, b, testKey); again.Tags["team"] != "x" {
		t.Error("a change to what DescribeKey returned changed the key")
	}
	kek, w := issue(t, b, testKey)
	wantKEK(t, b, w, testContext(), kek)
	_, err = b.CreateKeyWith(t.Context(), kms.KeySpec{KeyID: testKey})
	wantKind(t, err, kms.AlreadyExists)

	create(t, b, "plain")
	plain := describe(t, b, "plain")
	if plain.Algorithm != kms.AlgorithmAES256 || plain.Usage != kms.UsageEncryptDecrypt || plain.Origin == "" || plain.MaxAge != 0 {
		t.Errorf("CreateKey made %+v", plain)
	}
}

func testCreateWithRefuses(t *testing.T, open Open) {
	b := open(t)
	long := func(n int) string { return string(make([]byte, n)) }
	tests := map[string]struct {
		spec kms.KeySpec
		want kms.Kind
	}{
		"algorithm":    {kms.KeySpec{Algorithm: "RSA-4096"}, kms.Unsupported},
		"no algorithm": {kms.KeySpec{Algorithm: "ROT-13"}, kms.Unsupported},
		"usage":        {kms.KeySpec{Usage: "SignVerify"}, kms.Unsupported},
		"description":  {kms.KeySpec{Description: long(kms.MaxDescriptionSize + 1)}, kms.Invalid},
		"tag":          {kms.KeySpec{Tags: map[string]string{"": "x"}}, kms.Invalid},
		"origin":       {kms.KeySpec{Origin: "a\x00"}, kms.Invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.spec.KeyID = testKey
			_, err := b.CreateKeyWith(t.Context(), tt.spec)
			wantKind(t, err, tt.want)
		})
	}
	_, err := b.DescribeKey(t.Context(), testKey)
	wantKind(t, err, kms.NotFound)
}

func testEnableDisable(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey, "bystander")
	kek, w := issue(t, b, testKey)
	for range 2 { // as often as one likes
		info, err := b.DisableKey(t.Context(), testKey)
		changed(t, b, info, err)
		if info.State != kms.StateDisabled {
			t.Errorf("disabled, it is %v", info.State)
		}
		wantEncrypts(t, b, testKey, kms.Disabled)
		_, err = b.Rewrap(t.Context(), w, testContext())
		wantKind(t, err, kms.Disabled)
		wantKEK(t, b, w, testContext(), kek)
	}
	wantEncrypts(t, b, "bystander", nil)
	for range 2 {
		info, err := b.EnableKey(t.Context(), testKey)
		changed(t, b, info, err)
		if info.State != kms.StateEnabled {
			t.Errorf("enabled, it is %v", info.State)
		}
		wantEncrypts(t, b, testKey, nil)
		wantKEK(t, b, w, testContext(), kek)
	}
}

func testDeletion(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	kek, w := issue(t, b, testKey)
	for _, disabled := range []bool{false, true} {
		if disabled {
			_, err := b.DisableKey(t.Context(), testKey)
			if err != nil {
				t.Fatal(err)
			}
		}
		info, err := b.ScheduleDeletion(t.Context(), testKey, 10*day)
		changed(t, b, info, err)
		left := time.Until(info.DeleteAfter)
		if info.State != kms.StatePendingDeletion || left > 10*day+time.Minute || left < 10*day-time.Minute {
			t.Errorf("scheduled, it is %v and goes in %v", info.State, left)
		}
		if info.DeletionDue(time.Now()) || !info.DeletionDue(time.Now().Add(11*day)) {
			t.Error("the deletion is due at the wrong time")
		}
		wantEncrypts(t, b, testKey, kms.InvalidState)
		wantKEK(t, b, w, testContext(), kek)
		_, err = b.ScheduleDeletion(t.Context(), testKey, 10*day)
		wantKind(t, err, kms.InvalidState)
		_, err = b.EnableKey(t.Context(), testKey)
		wantKind(t, err, kms.InvalidState)
		_, err = b.DisableKey(t.Context(), testKey)
		wantKind(t, err, kms.InvalidState)
		_, err = b.CreateKey(t.Context(), testKey)
		wantKind(t, err, kms.AlreadyExists)

		info, err = b.CancelDeletion(t.Context(), testKey)
		changed(t, b, info, err)
		if info.State != kms.StateEnabled || !info.DeleteAfter.IsZero() {
			t.Errorf("cancelled, it is %v and goes at %v", info.State, info.DeleteAfter)
		}
		wantEncrypts(t, b, testKey, nil)
	}
	_, err := b.CancelDeletion(t.Context(), testKey)
	wantKind(t, err, kms.InvalidState)
}

func testDeletionWindow(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	for _, window := range []time.Duration{0, -day, 7*day - time.Second, 30*day + time.Second} {
		_, err := b.ScheduleDeletion(t.Context(), testKey, window)
		wantKind(t, err, kms.Invalid)
	}
	wantEncrypts(t, b, testKey, nil)
	for _, window := range []time.Duration{kms.MinDeletionWindow, kms.MaxDeletionWindow} {
		if _, err := b.ScheduleDeletion(t.Context(), testKey, window); err != nil {
			t.Error(err)
		}
		if _, err := b.CancelDeletion(t.Context(), testKey); err != nil {
			t.Error(err)
		}
	}
}

func testDestroy(t *testing.T, open Open) {
	b := open(t)
	create(t, b, "enabled", "disabled", "pending", "bystander")
	_, disableErr := b.DisableKey(t.Context(), "disabled")
	_, scheduleErr := b.ScheduleDeletion(t.Context(), "pending", 7*day)
	if err := errors.Join(disableErr, scheduleErr); err != nil {
		t.Fatal(err)
	}
	_, w := issue(t, b, "enabled")
	for _, id := range []string{"enabled", "disabled", "pending"} {
		if err := b.DestroyKey(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		_, err := b.DescribeKey(t.Context(), id)
		wantKind(t, err, kms.NotFound)
		_, _, err = b.GenerateKEK(t.Context(), id, nil)
		wantKind(t, err, kms.NotFound)
		_, err = b.EnableKey(t.Context(), id)
		wantKind(t, err, kms.NotFound)
		wantKind(t, b.DestroyKey(t.Context(), id), kms.NotFound)
	}
	refuse(t, b, w, testContext(), kms.NotFound)
	page, err := b.ListKeys(t.Context(), "", 0)
	if err != nil || len(page.Keys) != 1 || page.Keys[0].ID != "bystander" || page.More {
		t.Errorf("left over: %+v, %v", page, err)
	}
	if err := b.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func testDestroyAndMakeAnew(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	if _, err := b.SetDescription(t.Context(), testKey, "old"); err != nil {
		t.Fatal(err)
	}
	if err := b.DestroyKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	create(t, b, testKey)
	if info := describe(t, b, testKey); info.Description != "" || len(info.Versions) != 1 {
		t.Errorf("made anew it is %+v", info)
	}
	kek, v := issue(t, b, testKey)
	wantKEK(t, b, v, testContext(), kek)
	refuse(t, b, w, testContext(), kms.Crypto)
	w.Version, w.Fingerprint = 0, v.Fingerprint
	refuse(t, b, w, testContext(), kms.Crypto)
}

// amendments are the calls that change one key and need nothing else.
func amendments(ctx context.Context, b Backend, keyID string) map[string]error {
	errOf := func(_ kms.KeyInfo, err error) error { return err }
	_, encryptErr := b.Encrypt(ctx, keyID, []byte("text"), nil)
	return map[string]error{
		"enable":      errOf(b.EnableKey(ctx, keyID)),
		"disable":     errOf(b.DisableKey(ctx, keyID)),
		"schedule":    errOf(b.ScheduleDeletion(ctx, keyID, 7*day)),
		"cancel":      errOf(b.CancelDeletion(ctx, keyID)),
		"destroy":     b.DestroyKey(ctx, keyID),
		"description": errOf(b.SetDescription(ctx, keyID, "text")),
		"tags":        errOf(b.SetTags(ctx, keyID, map[string]string{"a": "b"})),
		"remove tags": errOf(b.RemoveTags(ctx, keyID, "a")),
		"maximum age": errOf(b.SetMaxAge(ctx, keyID, day)),
		"encrypt":     encryptErr,
	}
}

func testLifecycleNotFound(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	for name, err := range amendments(t.Context(), b, "absent") {
		t.Run(name, func(t *testing.T) { wantKind(t, err, kms.NotFound) })
	}
	for name, err := range amendments(t.Context(), b, "a\nb") {
		t.Run(name+" of no key id", func(t *testing.T) { wantKind(t, err, kms.Invalid) })
	}
	if page, err := b.ListKeys(t.Context(), "", 0); err != nil || len(page.Keys) != 1 {
		t.Errorf("refused calls left %d keys, %v", len(page.Keys), err)
	}
}

func testLifecycleCancelled(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	before := describe(t, b, testKey)
	_, w := issue(t, b, testKey)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all := amendments(ctx, b, testKey)
	_, all["decrypt"] = b.Decrypt(ctx, w, testContext())
	_, all["create"] = b.CreateKeyWith(ctx, kms.KeySpec{KeyID: "new"})
	all["batch"] = b.RewrapBatch(ctx, []kms.RewrapItem{{Wrapped: w, Context: testContext()}})[0].Err
	for name, err := range all {
		t.Run(name, func(t *testing.T) {
			wantKind(t, err, kms.Unavailable)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v does not wrap context.Canceled", err)
			}
		})
	}
	if diff := cmp.Diff(before, describe(t, b, testKey)); diff != "" {
		t.Errorf("cancelled calls changed the key (-before +after):\n%s", diff)
	}
}

// testConcurrentLifecycle uses a key while it is disabled, enabled and in the
// end destroyed by others.
func testConcurrentLifecycle(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	kek, w := issue(t, b, testKey)
	destroyed := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				got, err := b.Unwrap(t.Context(), w, testContext())
				switch {
				case err == nil && !got.Equal(kek):
					t.Error("another KEK")
				case err != nil && !errors.Is(err, kms.NotFound):
					t.Errorf("unwrap: %v", err)
				}
				_, _, err = b.GenerateKEK(t.Context(), testKey, nil)
				if err != nil && !errors.Is(err, kms.Disabled) && !errors.Is(err, kms.NotFound) {
					t.Errorf("generate: %v", err)
				}
				select {
				case <-destroyed:
					return
				default:
				}
			}
		})
	}
	for range 10 {
		_, disableErr := b.DisableKey(t.Context(), testKey)
		_, enableErr := b.EnableKey(t.Context(), testKey)
		_, tagErr := b.SetTags(t.Context(), testKey, map[string]string{"a": "b"})
		if err := errors.Join(disableErr, enableErr, tagErr); err != nil {
			t.Error(err)
		}
	}
	if err := b.DestroyKey(t.Context(), testKey); err != nil {
		t.Error(err)
	}
	close(destroyed)
	wg.Wait()
	refuse(t, b, w, testContext(), kms.NotFound)
}
