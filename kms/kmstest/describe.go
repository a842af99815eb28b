package kmstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/kms"
)

func testDescription(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	longest := strings.Repeat("d", kms.MaxDescriptionSize)
	for _, text := range []string{"a description", longest, "äλ\n\"", ""} {
		info, err := b.SetDescription(t.Context(), testKey, text)
		changed(t, b, info, err)
		if info.Description != text {
			t.Errorf("described as %q, want %q", info.Description, text)
		}
	}
	for _, text := range []string{longest + "d", "\xff"} {
		_, err := b.SetDescription(t.Context(), testKey, text)
		wantKind(t, err, kms.Invalid)
	}
	if _, err := b.SetDescription(t.Context(), testKey, "kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RotateKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DisableKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if info := describe(t, b, testKey); info.Description != "kept" {
		t.Errorf("after rotation: %q", info.Description)
	}
	if _, err := b.SetDescription(t.Context(), testKey, "of a disabled key"); err != nil {
		t.Error(err)
	}
	if info := describe(t, b, testKey); info.State != kms.StateDisabled || len(info.Versions) != 2 {
		t.Errorf("a description changed the key: %+v", info)
	}
}

func testTags(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	steps := []struct {
		set    map[string]string
		remove []string
		want   map[string]string
	}{
		{map[string]string{"a": "1", "b": ""}, nil, map[string]string{"a": "1", "b": ""}},
		{map[string]string{"a": "2", "ä λ": "x y"}, nil, map[string]string{"a": "2", "b": "", "ä λ": "x y"}},
		{nil, []string{"b", "absent"}, map[string]string{"a": "2", "ä λ": "x y"}},
		{nil, nil, map[string]string{"a": "2", "ä λ": "x y"}},
		{nil, []string{"ä λ", "a", "a"}, nil},
		{nil, []string{"a"}, nil},
	}
	for i, step := range steps {
		if step.set != nil {
			info, err := b.SetTags(t.Context(), testKey, step.set)
			changed(t, b, info, err)
			clear(step.set)
		} else {
			info, err := b.RemoveTags(t.Context(), testKey, step.remove...)
			changed(t, b, info, err)
		}
		got := describe(t, b, testKey).Tags
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func testTagLimits(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	full := map[string]string{}
	for i := range kms.MaxTags {
		full[fmt.Sprintf("%0*d", kms.MaxTagNameSize, i)] = strings.Repeat("v", kms.MaxTagValueSize)
	}
	info, err := b.SetTags(t.Context(), testKey, full)
	changed(t, b, info, err)
	for name, bad := range map[string]map[string]string{
		"one more":          {"one more": ""},
		"no name":           {"": "x"},
		"long name":         {strings.Repeat("n", kms.MaxTagNameSize+1): ""},
		"long value":        {"n": strings.Repeat("v", kms.MaxTagValueSize+1)},
		"name not UTF-8":    {"\xff": ""},
		"control character": {"n": "a\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.SetTags(t.Context(), testKey, bad)
			wantKind(t, err, kms.Invalid)
		})
	}
	if diff := cmp.Diff(full, describe(t, b, testKey).Tags); diff != "" {
		t.Errorf("refused tags changed the key (-want +got):\n%s", diff)
	}
}

func testMaxAge(t *testing.T, open Open) {
	b := open(t)
	create(t, b, testKey)
	now := time.Now()
	for _, age := range []time.Duration{time.Second, 90 * day, kms.MaxKeyAge} {
		info, err := b.SetMaxAge(t.Context(), testKey, age)
		changed(t, b, info, err)
		if info.MaxAge != age {
			t.Errorf("maximum age %v, want %v", info.MaxAge, age)
		}
		if info.RotationDue(now.Add(age-time.Minute)) && age > time.Second || !info.RotationDue(now.Add(age+time.Minute)) {
			t.Errorf("rotation at %v is due at the wrong time", age)
		}
	}
	for _, age := range []time.Duration{-time.Second, time.Second + 1, kms.MaxKeyAge + time.Second} {
		_, err := b.SetMaxAge(t.Context(), testKey, age)
		wantKind(t, err, kms.Invalid)
	}
	info, err := b.SetMaxAge(t.Context(), testKey, 0)
	changed(t, b, info, err)
	if info.MaxAge != 0 || info.RotationDue(now.Add(kms.MaxKeyAge)) {
		t.Error("rotation is due without a maximum age")
	}
}
