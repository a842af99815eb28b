package kmstest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/kms"
)

func testInstance(t *testing.T, open Open) {
	a, b := open(t), open(t)
	if a.Instance().IsZero() {
		t.Error("the instance id is zero")
	}
	if first, again := a.Instance(), a.Instance(); first != again {
		t.Error("the instance id changes")
	}
	if a.Instance() == b.Instance() {
		t.Error("two backends have one instance id")
	}
}

func testCreateDescribe(t *testing.T, open Open) {
	b := open(t)
	before := time.Now().Add(-time.Minute)
	made, err := b.CreateKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	described, err := b.DescribeKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, described); diff != "" {
		t.Errorf("DescribeKey differs from what CreateKey returned (-created +described):\n%s", diff)
	}
	v := made.Newest()
	switch {
	case made.ID != testKey:
		t.Errorf("id %q", made.ID)
	case made.State != kms.StateEnabled:
		t.Errorf("state %v", made.State)
	case len(made.Versions) != 1 || v.Number != 1 || v.Fingerprint.IsZero():
		t.Errorf("versions %+v", made.Versions)
	case made.Created.Before(before) || made.Created.After(time.Now().Add(time.Minute)):
		t.Errorf("created at %v", made.Created)
	case made.Origin == "":
		t.Error("no origin")
	}

	_, err = b.CreateKey(t.Context(), testKey)
	wantKind(t, err, kms.AlreadyExists)
	after, err := b.DescribeKey(t.Context(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, after); diff != "" {
		t.Errorf("a refused creation changed the key (-before +after):\n%s", diff)
	}
}

func testKeyIDs(t *testing.T, open Open) {
	b := open(t)
	good := []string{
		"a", ".", "..", "a/b", `a\b`, "*", " ", "A", "key.tmp", "instance", "ключ",
		strings.Repeat("k", kms.MaxKeyIDSize), strings.Repeat("ä", kms.MaxKeyIDSize/2),
	}
	for _, id := range good {
		create(t, b, id)
		kek, w := issue(t, b, id)
		wantKEK(t, b, w, testContext(), kek)
	}
	bad := []string{
		"", strings.Repeat("k", kms.MaxKeyIDSize+1), "a\x00b", "a\nb", "a\x7f", "a\u0085b", "\xff", "a\xc3",
	}
	for _, id := range bad {
		_, err := b.CreateKey(t.Context(), id)
		wantKind(t, err, kms.Invalid)
		_, err = b.DescribeKey(t.Context(), id)
		wantKind(t, err, kms.Invalid)
		_, err = b.RotateKey(t.Context(), id)
		wantKind(t, err, kms.Invalid)
		_, _, err = b.GenerateKEK(t.Context(), id, nil)
		wantKind(t, err, kms.Invalid)
		refuse(t, b, kms.Wrapped{KeyID: id, Ciphertext: []byte("x")}, nil, kms.Invalid)
	}
}

func testNotFound(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	_, w := issue(t, b, testKey)
	_, err := b.DescribeKey(t.Context(), "absent")
	wantKind(t, err, kms.NotFound)
	_, err = b.RotateKey(t.Context(), "absent")
	wantKind(t, err, kms.NotFound)
	_, _, err = b.GenerateKEK(t.Context(), "absent", nil)
	wantKind(t, err, kms.NotFound)
	refuse(t, b, with(w, func(w *kms.Wrapped) { w.KeyID = "absent" }), testContext(), kms.NotFound)
	page, err := b.ListKeys(t.Context(), "", 0)
	if err != nil || len(page.Keys) != 1 {
		t.Errorf("after refused operations there are %d keys (%v), want 1", len(page.Keys), err)
	}
}

func testList(t *testing.T, open Open) {
	b := open(t)
	page, err := b.ListKeys(t.Context(), "", 10)
	if err != nil || len(page.Keys) != 0 || page.More {
		t.Fatalf("an empty backend lists %+v, %v", page, err)
	}
	ids := []string{"B", "a", "a/b", "aa", "b", "z", "ä"} // in byte order
	for _, i := range []int{3, 0, 6, 2, 5, 1, 4} {
		create(t, b, ids[i])
	}
	tests := []struct {
		after string
		limit int
		want  []string
		more  bool
	}{
		{"", 0, ids, false},
		{"", -1, ids, false},
		{"", 7, ids, false},
		{"", 6, ids[:6], true},
		{"", 1, ids[:1], true},
		{"a", 2, ids[2:4], true},
		{"a/", 2, ids[2:4], true},
		{"z", 1, ids[6:], false},
		{"ä", 1, nil, false},
		{"ö", 0, nil, false},
		{"", kms.MaxListedKeys + 1, ids, false},
	}
	for _, tt := range tests {
		page, err := b.ListKeys(t.Context(), tt.after, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range page.Keys {
			got = append(got, k.ID)
			if described, err := b.DescribeKey(t.Context(), k.ID); err != nil || !cmp.Equal(described, k) {
				t.Errorf("listed %+v, described %+v, %v", k, described, err)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || page.More != tt.more {
			t.Errorf("after %q limit %d: more %v, want %v (-want +got):\n%s", tt.after, tt.limit, page.More, tt.more, diff)
		}
	}
}

func testConcurrentCreate(t *testing.T, open Open) {
	b := open(t)
	const rounds, rivals = 8, 6
	for round := range rounds {
		id := fmt.Sprintf("key %d", round)
		errs := make([]error, rivals)
		var wg sync.WaitGroup
		for i := range rivals {
			wg.Go(func() { _, errs[i] = b.CreateKey(t.Context(), id) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, kms.AlreadyExists) {
				t.Errorf("a rival got %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d creations of one key succeeded", won)
		}
	}
	page, err := b.ListKeys(t.Context(), "", 0)
	if err != nil || len(page.Keys) != rounds {
		t.Errorf("%d keys, %v, want %d", len(page.Keys), err, rounds)
	}
}

func testHealth(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	if err := b.Health(t.Context()); err != nil {
		t.Error(err)
	}
}
