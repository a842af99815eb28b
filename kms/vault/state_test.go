package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

const week = 7 * 24 * time.Hour

// recordPath is where a record stands in the KV engine.
func recordPath(kv, part, name string) string {
	return kv + "/" + part + "/" + vault.DefaultKVPrefix + "/" + name
}

// TestRecord shows what stands in the KV engine.
func TestRecord(t *testing.T) {
	t.Parallel()
	mount, kv := setUp(t, shared), shared.KV(t)
	b := open(t, patient(vault.Options{Mount: mount, KVMount: kv, Auth: token(fullToken(t, shared, mount, kv))}))
	_, scheduleErr := b.ScheduleDeletion(t.Context(), testKey, week)
	_, tagErr := b.SetTags(t.Context(), testKey, map[string]string{"team": "x"})
	_, ageErr := b.SetMaxAge(t.Context(), testKey, time.Hour)
	info, err := b.SetDescription(t.Context(), testKey, "for photos")
	if err := errors.Join(scheduleErr, tagErr, ageErr, err); err != nil {
		t.Fatal(err)
	}
	found, err := shared.Root(t).Logical().ReadWithContext(t.Context(), recordPath(kv, "data", testKey))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"format": json.Number("1"), "key_id": testKey, "state": "PendingDeletion", "description": "for photos",
		"delete_after": info.DeleteAfter.Format(time.RFC3339Nano), "tags": map[string]any{"team": "x"},
		"max_age_seconds": json.Number("3600"),
	}
	if diff := cmp.Diff(want, found.Data["data"]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if r := b.Report(); r.KeyState != kv+"/"+vault.DefaultKVPrefix {
		t.Errorf("reported at %q", r.KeyState)
	}
}

// TestNoPlaceForState has neither a KV engine nor another place.
func TestNoPlaceForState(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	issue(t, b)
	_, err := b.DisableKey(t.Context(), testKey)
	wantError(t, err, kms.Unsupported, "secret/coffer/kms/keys")
	_, err = b.CreateKeyWith(t.Context(), kms.KeySpec{KeyID: "new", Description: "d"})
	wantError(t, err, kms.Unsupported)
	_, err = b.DescribeKey(t.Context(), "new")
	wantError(t, err, kms.NotFound)
	if c := b.Capabilities(); c.Lifecycle || c.Describe || !c.Create {
		t.Errorf("capable of %+v", c)
	}
	if r := b.Report(); r.KeyState != "none" {
		t.Errorf("reported at %q", r.KeyState)
	}
	if err := b.DestroyKey(t.Context(), testKey); err != nil {
		t.Error(err)
	}
}

// TestStateOfOthers has two backends change one key, and an operator.
func TestStateOfOthers(t *testing.T) {
	t.Parallel()
	mount, kv := setUp(t, shared), shared.KV(t)
	o := patient(vault.Options{Mount: mount, KVMount: kv, Auth: token(fullToken(t, shared, mount, kv))})
	a, b := open(t, o), open(t, o)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j, backend := range []*vault.Backend{a, b} {
				if _, err := backend.SetTags(t.Context(), testKey, map[string]string{fmt.Sprint(i, j): ""}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	info, err := a.DescribeKey(t.Context(), testKey)
	if err != nil || len(info.Tags) != 8 {
		t.Errorf("tags %v, %v", info.Tags, err)
	}

	root := shared.Root(t).Logical()
	if _, err := root.DeleteWithContext(t.Context(), recordPath(kv, "data", testKey)); err != nil { // its version stays
		t.Fatal(err)
	}
	if _, err := a.DisableKey(t.Context(), testKey); err != nil {
		t.Error(err)
	}
	info, err = b.DescribeKey(t.Context(), testKey)
	if err != nil || info.State != kms.StateDisabled || len(info.Tags) != 0 {
		t.Errorf("described as %+v, %v", info, err)
	}
}

// TestDamagedRecord shows that a key whose state is not known does not encrypt,
// and can be destroyed and made anew.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		data map[string]any
		want kms.Kind
	}{
		{"no record", map[string]any{"a": "b"}, kms.Unsupported},
		{"newer", map[string]any{"format": 2, "key_id": testKey, "state": "Enabled"}, kms.Unsupported},
		{"of another key", map[string]any{"format": 1, "key_id": "other", "state": "Enabled"}, kms.BackendFailure},
		{"unknown state", map[string]any{"format": 1, "key_id": testKey, "state": "Asleep"}, kms.BackendFailure},
		{"other types", map[string]any{"format": "one"}, kms.BackendFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mount, kv := setUp(t, shared), shared.KV(t)
			o := patient(vault.Options{Mount: mount, KVMount: kv, Auth: token(fullToken(t, shared, mount, kv))})
			o.Instance = cipher.NewInstanceID()
			kek, w := issue(t, open(t, o))
			_, err := shared.Root(t).Logical().WriteWithContext(t.Context(), recordPath(kv, "data", testKey), map[string]any{"data": tt.data})
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, o)
			_, _, err = b.GenerateKEK(t.Context(), testKey, nil)
			wantError(t, err, tt.want)
			_, err = b.EnableKey(t.Context(), testKey)
			wantError(t, err, tt.want)
			wantKEK(t, b, w, kek)
			page, err := b.ListKeys(t.Context(), "", 0)
			if err != nil || len(page.Keys) != 1 || !errors.Is(page.Keys[0].Fault, tt.want) {
				t.Errorf("listed %+v, %v", page.Keys, err)
			}
			if err := b.DestroyKey(t.Context(), testKey); err != nil {
				t.Fatal(err)
			}
			if _, err := b.CreateKey(t.Context(), testKey); err != nil {
				t.Fatal(err)
			}
			issue(t, b)
		})
	}
}

// TestStaleRecord has an operator delete a key in Vault, which leaves the record.
func TestStaleRecord(t *testing.T) {
	t.Parallel()
	mount, kv := setUp(t, shared), shared.KV(t)
	o := patient(vault.Options{Mount: mount, KVMount: kv, Auth: token(fullToken(t, shared, mount, kv))})
	b := open(t, o)
	_, describeErr := b.SetDescription(t.Context(), testKey, "old")
	_, disableErr := b.DisableKey(t.Context(), testKey)
	if err := errors.Join(describeErr, disableErr); err != nil {
		t.Fatal(err)
	}
	shared.Key(t, mount, testKey+"/config", map[string]any{"deletion_allowed": true})
	if _, err := shared.Root(t).Logical().DeleteWithContext(t.Context(), mount+"/keys/"+testKey); err != nil {
		t.Fatal(err)
	}
	_, err := b.DescribeKey(t.Context(), testKey)
	wantError(t, err, kms.NotFound)
	made, err := b.CreateKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, backend := range []*vault.Backend{b, open(t, o)} {
		issue(t, backend)
		info, err := backend.DescribeKey(t.Context(), testKey)
		if err != nil || info.Description != "" || info.State != kms.StateEnabled || made.State != kms.StateEnabled {
			t.Errorf("made %+v, described as %+v, %v", made, info, err)
		}
	}
}

// TestDestroyResumed repeats a destruction that failed after the key was gone.
func TestDestroyResumed(t *testing.T) {
	t.Parallel()
	mount, kv := setUp(t, shared), shared.KV(t)
	proxy := vaulttest.NewProxy(t, shared)
	b := open(t, patient(vault.Options{Address: proxy.Address, Mount: mount, KVMount: kv, Auth: token(fullToken(t, shared, mount, kv))}))
	if _, err := b.SetDescription(t.Context(), testKey, "old"); err != nil {
		t.Fatal(err)
	}
	proxy.SetFault(vaulttest.On(recordPath(kv, "metadata", ""), vaulttest.Status(403)))
	wantError(t, b.DestroyKey(t.Context(), testKey), kms.Denied, recordPath(kv, "metadata", testKey))
	proxy.SetFault(nil)
	_, err := b.DescribeKey(t.Context(), testKey)
	wantError(t, err, kms.NotFound)
	if err := b.DestroyKey(t.Context(), testKey); err != nil {
		t.Error(err)
	}
	wantError(t, b.DestroyKey(t.Context(), testKey), kms.NotFound)
	found, err := shared.Root(t).Logical().ReadWithContext(t.Context(), recordPath(kv, "data", testKey))
	if err != nil || found != nil {
		t.Errorf("the record is still there: %+v, %v", found, err)
	}
}

// TestStateMoves gives a token the right to use the KV engine after states were
// kept elsewhere.
func TestStateMoves(t *testing.T) {
	t.Parallel()
	mount, kv, elsewhere := setUp(t, shared), shared.KV(t), newMemory()
	o := patient(vault.Options{Mount: mount, KVMount: kv, State: elsewhere, Auth: token(fullToken(t, shared, mount))})
	before := open(t, o)
	if _, err := before.DisableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if r := before.Report(); r.KeyState != "memory" || len(elsewhere.records) != 1 {
		t.Errorf("kept at %q, %d records", r.KeyState, len(elsewhere.records))
	}
	o.Auth = token(fullToken(t, shared, mount, kv))
	after := open(t, o)
	_, _, err := after.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Disabled)
	if _, err := after.EnableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	issue(t, after)
	if r := after.Report(); r.KeyState != kv+"/"+vault.DefaultKVPrefix || len(elsewhere.records) != 0 {
		t.Errorf("kept at %q, %d records elsewhere", r.KeyState, len(elsewhere.records))
	}
}

// TestStateConflict shows that a change that others always overtake ends.
func TestStateConflict(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	o := patient(vault.Options{Mount: mount, State: overtaken{newMemory()}, Auth: token(fullToken(t, shared, mount))})
	_, err := open(t, o).DisableKey(t.Context(), testKey)
	wantError(t, err, kms.Unavailable)
	if !errors.Is(err, vault.ErrStateConflict) {
		t.Errorf("got %v", err)
	}
}

// overtaken is a store in which others are always faster.
type overtaken struct{ *memory }

func (overtaken) Save(context.Context, string, []byte, uint64) error { return vault.ErrStateConflict }
