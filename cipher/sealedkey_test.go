package cipher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testBinding() Binding { return Binding{NewStoreID(), NewBucketID(), NewObjectID()} }

// sealedKeys are one SealedKey of every kind, not sealed yet.
func sealedKeys() map[string]SealedKey {
	instance, fingerprint := NewInstanceID(), NewMasterKey().Fingerprint()
	return map[string]SealedKey{
		"SSE-S3":             {Mode: ModeSSES3, Instance: instance, KeyFingerprint: fingerprint, KeyVersion: 2, Generation: 7, Context: []byte("bucket")},
		"SSE-S3 of its own":  {Mode: ModeSSES3, Instance: instance, KeyFingerprint: fingerprint, KeyVersion: 1, Wrapped: pattern(100), Context: []byte("b")},
		"SSE-KMS":            {Mode: ModeSSEKMS, Instance: instance, KeyFingerprint: fingerprint, KeyVersion: 1, Wrapped: pattern(80), Context: pattern(200)},
		"SSE-KMS, bucket":    {Mode: ModeSSEKMS, Instance: instance, KeyFingerprint: fingerprint, KeyVersion: math.MaxUint32, Generation: math.MaxUint32},
		"SSE-C":              {Mode: ModeSSEC},
		"SSE-C with context": {Mode: ModeSSEC, Context: []byte("c")},
		"the largest":        {Mode: ModeSSEKMS, Wrapped: pattern(MaxWrapped), Context: pattern(MaxContext)},
	}
}

func TestSealedKeyRoundTrip(t *testing.T) {
	t.Parallel()
	for name, s := range sealedKeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kek, dk, b := NewKEK(), NewDataKey(), testBinding()
			if err := s.Seal(kek, dk, b); err != nil {
				t.Fatal(err)
			}
			encoded := must[[]byte](t)(s.AppendBinary([]byte("before")))
			if !bytes.HasPrefix(encoded, []byte("before")) || len(encoded) > 6+MaxSealedKeySize {
				t.Fatalf("encoded into %d bytes", len(encoded))
			}
			encoded = encoded[6:]
			if bytes.Contains(encoded, dk.Expose()[:8]) || bytes.Contains(encoded, kek.Expose()[:8]) {
				t.Fatal("a key in the encoding")
			}
			var got SealedKey
			if err := got.UnmarshalBinary(encoded); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, got); diff != "" {
				t.Error(diff)
			}
			clear(encoded)
			if again := must[[]byte](t)(got.MarshalBinary()); !bytes.Equal(again, must[[]byte](t)(s.MarshalBinary())) {
				t.Error("it kept the slice it was decoded from")
			}
			opened, err := got.Open(kek, b)
			if err != nil || !opened.Equal(dk) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestSealedKeySealsAfresh(t *testing.T) {
	t.Parallel()
	kek, dk, b := NewKEK(), NewDataKey(), testBinding()
	s := SealedKey{Mode: ModeSSEC}
	seen := map[string]bool{}
	for range 10 {
		if err := s.Seal(kek, dk, b); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{string(s.salt[:]), string(s.nonce[:]), string(s.sealed[:])} {
			if seen[part] {
				t.Fatal("salt, nonce or sealed key twice")
			}
			seen[part] = true
		}
	}
}

// TestSealedKeyIsBound: under another key or in another place a DataKey does not open.
func TestSealedKeyIsBound(t *testing.T) {
	t.Parallel()
	kek, b := NewKEK(), testBinding()
	with := func(change func(*Binding)) Binding {
		other := b
		change(&other)
		return other
	}
	tests := []struct {
		name    string
		kek     *KEK
		binding Binding
		change  func(*SealedKey)
		want    error
	}{
		{"nothing changed", kek, b, func(*SealedKey) {}, nil},
		{"after a rewrap", kek, b, func(s *SealedKey) { s.KeyVersion, s.Wrapped = 9, pattern(90) }, nil},
		{"after a move to another backend", kek, b, func(s *SealedKey) { s.Instance = NewInstanceID() }, nil},
		{"another kek", NewKEK(), b, func(*SealedKey) {}, ErrAuth},
		{"another store", kek, with(func(o *Binding) { o.Store = NewStoreID() }), func(*SealedKey) {}, ErrAuth},
		{"another bucket", kek, with(func(o *Binding) { o.Bucket = NewBucketID() }), func(*SealedKey) {}, ErrAuth},
		{"another object", kek, with(func(o *Binding) { o.Object = NewObjectID() }), func(*SealedKey) {}, ErrAuth},
		{"store and bucket exchanged", kek, with(func(o *Binding) { o.Store, o.Bucket = StoreID(b.Bucket), BucketID(b.Store) }), func(*SealedKey) {}, ErrAuth},
		{"no binding", kek, Binding{}, func(*SealedKey) {}, ErrAuth},
		{"another mode", kek, b, func(s *SealedKey) { s.Mode = ModeSSES3 }, ErrAuth},
		{"mode 0", kek, b, func(s *SealedKey) { s.Mode = 0 }, ErrFormat},
		{"mode 4", kek, b, func(s *SealedKey) { s.Mode = 4 }, ErrFormat},
		{"another context", kek, b, func(s *SealedKey) { s.Context = []byte("contexu") }, ErrAuth},
		{"longer context", kek, b, func(s *SealedKey) { s.Context = []byte("context ") }, ErrAuth},
		{"no context", kek, b, func(s *SealedKey) { s.Context = nil }, ErrAuth},
		{"context above its limit", kek, b, func(s *SealedKey) { s.Context = make([]byte, MaxContext+1) }, ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := SealedKey{Mode: ModeSSEKMS, Wrapped: pattern(60), Context: []byte("context")}
			dk := NewDataKey()
			if err := s.Seal(kek, dk, b); err != nil {
				t.Fatal(err)
			}
			tt.change(&s)
			got, err := s.Open(tt.kek, tt.binding)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if (got != nil) != (tt.want == nil) || got != nil && !got.Equal(dk) {
				t.Error("another key")
			}
		})
	}
}

// TestSealedKeyEveryBit: a flipped bit of what is sealed or bound is refused by Open, one of the rest still decodes
// to what it says (the record's own seal guards it) or is refused by the decoder.
func TestSealedKeyEveryBit(t *testing.T) {
	t.Parallel()
	kek, dk, b := NewKEK(), NewDataKey(), testBinding()
	s := SealedKey{
		Mode: ModeSSEKMS, Instance: NewInstanceID(), KeyFingerprint: kek.Fingerprint(), KeyVersion: 1,
		Wrapped: pattern(20), Context: []byte("context"),
	}
	if err := s.Seal(kek, dk, b); err != nil {
		t.Fatal(err)
	}
	encoded := must[[]byte](t)(s.MarshalBinary())
	const routing, salt = 2, 2 + 2*IDSize + 2*4
	wrapped := sealedKeyFixed + 4
	for bit := range len(encoded) * 8 {
		i := bit / 8
		bad := bytes.Clone(encoded)
		bad[i] ^= 1 << (bit % 8)
		var got SealedKey
		err := got.UnmarshalBinary(bad)
		if err == nil {
			_, err = got.Open(kek, b)
		}
		findsTheKEK := i >= routing && i < salt || i >= wrapped && i < wrapped+len(s.Wrapped)
		switch {
		case findsTheKEK && err == nil && got.Equal(s):
			t.Errorf("bit %d is lost", bit)
		case !findsTheKEK && err == nil:
			t.Errorf("bit %d flipped and opened", bit)
		case err != nil && !errors.Is(err, ErrAuth) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSize):
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}

func TestSealedKeyFieldsMustAgree(t *testing.T) {
	t.Parallel()
	wrapped := pattern(60)
	tests := []struct {
		name string
		s    SealedKey
		want error
	}{
		{"zero", SealedKey{}, ErrFormat},
		{"unknown mode", SealedKey{Mode: 4}, ErrFormat},
		{"SSE-S3 without a kek", SealedKey{Mode: ModeSSES3}, ErrFormat},
		{"SSE-S3 with two", SealedKey{Mode: ModeSSES3, Generation: 1, Wrapped: wrapped}, ErrFormat},
		{"SSE-KMS without a kek", SealedKey{Mode: ModeSSEKMS}, ErrFormat},
		{"SSE-KMS with two", SealedKey{Mode: ModeSSEKMS, Generation: 1, Wrapped: wrapped}, ErrFormat},
		{"SSE-C with a wrapped kek", SealedKey{Mode: ModeSSEC, Wrapped: wrapped}, ErrFormat},
		{"SSE-C with a generation", SealedKey{Mode: ModeSSEC, Generation: 1}, ErrFormat},
		{"SSE-C with an instance", SealedKey{Mode: ModeSSEC, Instance: NewInstanceID()}, ErrFormat},
		{"SSE-C with a fingerprint", SealedKey{Mode: ModeSSEC, KeyFingerprint: Fingerprint{1}}, ErrFormat},
		{"SSE-C with a key version", SealedKey{Mode: ModeSSEC, KeyVersion: 1}, ErrFormat},
		{"wrapped above its limit", SealedKey{Mode: ModeSSEKMS, Wrapped: make([]byte, MaxWrapped+1)}, ErrSize},
		{"context above its limit", SealedKey{Mode: ModeSSEC, Context: make([]byte, MaxContext+1)}, ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := tt.s.MarshalBinary(); got != nil || !errors.Is(err, tt.want) {
				t.Errorf("%d bytes, %v; want %v", len(got), err, tt.want)
			}
		})
	}
	if err := (&SealedKey{Mode: 9}).Seal(NewKEK(), NewDataKey(), Binding{}); !errors.Is(err, ErrFormat) {
		t.Errorf("sealed in mode 9: %v", err)
	}
}

func TestSealedKeyDecoderRefuses(t *testing.T) {
	t.Parallel()
	s := SealedKey{Mode: ModeSSEKMS, Wrapped: pattern(20), Context: []byte("context")}
	good := must[[]byte](t)(s.MarshalBinary())
	edit := func(offset int, value uint32) []byte {
		bad := bytes.Clone(good)
		binary.BigEndian.PutUint32(bad[offset:], value)
		return bad
	}
	context := sealedKeyFixed + 4 + len(s.Wrapped)
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"good", good, nil},
		{"empty", nil, ErrTruncated},
		{"version 0", append([]byte{0}, good[1:]...), ErrVersion},
		{"version 2", append([]byte{2}, good[1:]...), ErrVersion},
		{"version 2 alone", []byte{2}, ErrVersion},
		{"longer", append(bytes.Clone(good), 0), ErrFormat},
		{"wrapped longer than all", edit(sealedKeyFixed, uint32(len(good))), ErrTruncated},
		{"wrapped one above its limit", edit(sealedKeyFixed, MaxWrapped+1), ErrSize},
		{"wrapped of 4 GiB", edit(sealedKeyFixed, math.MaxUint32), ErrSize},
		{"context one too long", edit(context, uint32(len(s.Context)+1)), ErrTruncated},
		{"context one too short", edit(context, uint32(len(s.Context)-1)), ErrFormat},
		{"context one above its limit", edit(context, MaxContext+1), ErrSize},
		{"context of 4 GiB", edit(context, math.MaxUint32), ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := SealedKey{KeyVersion: 77}
			err := got.UnmarshalBinary(tt.in)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if err != nil && !got.Equal(SealedKey{KeyVersion: 77}) {
				t.Error("changed beside an error")
			}
		})
	}
	for cut := range len(good) {
		if err := new(SealedKey).UnmarshalBinary(good[:cut]); !errors.Is(err, ErrTruncated) {
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
}

// TestSizesAreCheckedBeforeAllocation is not parallel: it looks at what the whole process allocates.
func TestSizesAreCheckedBeforeAllocation(t *testing.T) {
	s := SealedKey{Mode: ModeSSEKMS, Wrapped: pattern(20)}
	liar := must[[]byte](t)(s.MarshalBinary())
	binary.BigEndian.PutUint32(liar[sealedKeyFixed:], MaxWrapped)
	key, id := NewDataKey(), NewChunkID()
	sealed := must[[]byte](t)(SealChunk(nil, key, id, MaxFrameSize, nil))
	calls := map[string]func() error{
		"SealedKey": func() error { return new(SealedKey).UnmarshalBinary(liar) },
		"NewChunkReader": func() error {
			_, err := NewChunkReader(bytes.NewReader(sealed), math.MaxInt64, key, id)
			return err
		},
		"PlainSize":  func() error { _, err := PlainSize(math.MaxInt64, MaxFrameSize); return err },
		"SealedSize": func() error { _, err := SealedSize(math.MaxInt64, MaxFrameSize); return err },
	}
	for name, call := range calls {
		least := uint64(math.MaxUint64)
		for range 10 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := call()
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if least > MaxWrapped/2 {
			t.Errorf("%s: %d bytes allocated", name, least)
		}
	}
}

func TestModeString(t *testing.T) {
	t.Parallel()
	for mode, want := range map[Mode]string{ModeSSES3: "SSE-S3", ModeSSEKMS: "SSE-KMS", ModeSSEC: "SSE-C", 9: "mode 9"} {
		if got := mode.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
