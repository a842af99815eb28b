package cipher

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDConstructors(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for range 100 {
		for name, id := range map[string]interface {
			String() string
			IsZero() bool
		}{
			"store": NewStoreID(), "bucket": NewBucketID(), "object": NewObjectID(), "chunk": NewChunkID(),
			"instance": NewInstanceID(), "body": NewBodyID(), "page": NewPageID(), "upload": NewUploadID(),
			"run": NewRunID(), "writer": NewWriterID(),
		} {
			if id.IsZero() {
				t.Fatalf("%s: zero", name)
			}
			if other, ok := seen[id.String()]; ok {
				t.Fatalf("%s and %s: the same identifier twice", name, other)
			}
			seen[id.String()] = name
		}
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	good := "000102030405060708090a0b0c0d0eff"
	tests := []struct {
		name, in string
		want     error
	}{
		{"good", good, nil},
		{"zero", strings.Repeat("0", 32), nil},
		{"empty", "", ErrID},
		{"short", good[:31], ErrID},
		{"two short", good[:30], ErrID},
		{"long", good + "00", ErrID},
		{"upper case", strings.ToUpper(good), ErrID},
		{"not a digit", "g" + good[1:], ErrID},
		{"space", " " + good[1:], ErrID},
		{"not ascii", "é" + good[2:], ErrID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, err := ParseChunkID(tt.in)
			if !errors.Is(err, tt.want) {
				t.Fatalf("ParseChunkID: %v, want %v", err, tt.want)
			}
			if err == nil && id.String() != tt.in {
				t.Errorf("String: %s, want %s", id, tt.in)
			}
			if err != nil && !id.IsZero() {
				t.Errorf("an identifier beside an error: %s", id)
			}
			f, err := ParseFingerprint(tt.in)
			if !errors.Is(err, tt.want) {
				t.Fatalf("ParseFingerprint: %v, want %v", err, tt.want)
			}
			if err == nil && f.String() != tt.in {
				t.Errorf("Fingerprint.String: %s, want %s", f, tt.in)
			}
		})
	}
}

func TestParseIDOfEveryKind(t *testing.T) {
	t.Parallel()
	const text = "000102030405060708090a0b0c0d0e0f"
	store, err1 := ParseStoreID(text)
	bucket, err2 := ParseBucketID(text)
	object, err3 := ParseObjectID(text)
	instance, err4 := ParseInstanceID(text)
	body, err5 := ParseBodyID(text)
	page, err6 := ParsePageID(text)
	upload, err7 := ParseUploadID(text)
	run, err8 := ParseRunID(text)
	writer, err9 := ParseWriterID(text)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		t.Fatal(err)
	}
	for i, got := range [][IDSize]byte{store, bucket, object, instance, body, page, upload, run, writer} {
		if want := [IDSize]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; got != want {
			t.Errorf("kind %d: %x", i, got)
		}
	}
}

func TestIDAsText(t *testing.T) {
	t.Parallel()
	type document struct {
		Bucket BucketID
		Key    Fingerprint
		Sizes  map[ChunkID]int
	}
	want := document{NewBucketID(), NewKEK().Fingerprint(), map[ChunkID]int{NewChunkID(): 1}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got document
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before := got.Bucket
	if err := got.Bucket.UnmarshalText([]byte("x")); !errors.Is(err, ErrID) || got.Bucket != before {
		t.Errorf("bad text: %v, %s", err, got.Bucket)
	}
	if err := got.Key.UnmarshalText([]byte("x")); !errors.Is(err, ErrID) || got.Key != want.Key {
		t.Errorf("bad text: %v, %s", err, got.Key)
	}
}
