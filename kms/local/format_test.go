package local

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
)

// sampleKey is a key with everything that a file can hold.
func sampleKey() keyBody {
	until := int64(9)
	return keyBody{
		ID: "k", Instance: bytes.Repeat([]byte{7}, 16), State: uint8(kms.StatePendingDeletion), Created: -5,
		Versions: []versionBody{
			{Number: 1, Created: 1, Master: bytes.Repeat([]byte{1}, 32)},
			{Number: 4, Created: 2, Master: bytes.Repeat([]byte{4}, 32)},
		},
		DeleteAfter: &until, Origin: "o", Description: "d", Tags: map[string]string{"a": "b", "": ""}, MaxAge: 60,
	}
}

func testCodec(t testing.TB) codec {
	t.Helper()
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := testCodec(t).Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestKeyBodyRoundTrip(t *testing.T) {
	t.Parallel()
	c := testCodec(t)
	data := mustMarshal(t, sampleKey())
	r, err := c.decodeKey(data)
	if err != nil {
		t.Fatal(err)
	}
	want := kms.KeyInfo{
		ID: "k", State: kms.StatePendingDeletion, Created: time.Unix(0, -5), DeleteAfter: time.Unix(0, 9),
		Algorithm: kms.AlgorithmAES256, Usage: kms.UsageEncryptDecrypt,
		Origin: "o", Description: "d", Tags: map[string]string{"a": "b", "": ""},
		MaxAge: time.Minute,
		Versions: []kms.KeyVersion{
			{Number: 1, Created: time.Unix(0, 1), Fingerprint: fingerprintOf(t, 1)},
			{Number: 4, Created: time.Unix(0, 2), Fingerprint: fingerprintOf(t, 4)},
		},
	}
	if diff := cmp.Diff(want, r.info()); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	again, err := c.encodeKey(r)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("encoded anew: %x, %v, want %x", again, err, data)
	}
}

// fingerprintOf gives the fingerprint of a key of 32 equal bytes.
func fingerprintOf(t *testing.T, b byte) cipher.Fingerprint {
	t.Helper()
	k, err := cipher.MasterKeyFromBytes(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k.Fingerprint()
}

func TestKeyBodyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*keyBody)
	}{
		{"no id", func(b *keyBody) { b.ID = "" }},
		{"bad id", func(b *keyBody) { b.ID = "a\n" }},
		{"short instance", func(b *keyBody) { b.Instance = b.Instance[1:] }},
		{"state 0", func(b *keyBody) { b.State = 0 }},
		{"state 4", func(b *keyBody) { b.State = 4 }},
		{"pending without an end", func(b *keyBody) { b.DeleteAfter = nil }},
		{"enabled with an end", func(b *keyBody) { b.State = uint8(kms.StateEnabled) }},
		{"no version", func(b *keyBody) { b.Versions = nil }},
		{"too many versions", func(b *keyBody) {
			b.Versions = nil
			for n := range uint32(maxVersions + 1) {
				b.Versions = append(b.Versions, versionBody{Number: n + 1, Master: make([]byte, 32)})
			}
		}},
		{"version 0", func(b *keyBody) { b.Versions[0].Number = 0 }},
		{"versions not ascending", func(b *keyBody) { b.Versions[1].Number = 1 }},
		{"version with no next", func(b *keyBody) { b.Versions[1].Number = math.MaxUint32 }},
		{"short key", func(b *keyBody) { b.Versions[0].Master = make([]byte, 31) }},
		{"long key", func(b *keyBody) { b.Versions[0].Master = make([]byte, 33) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := sampleKey()
			tt.change(&b)
			if _, err := testCodec(t).decodeKey(mustMarshal(t, b)); !errors.Is(err, errBody) {
				t.Errorf("got %v, want %v", err, errBody)
			}
		})
	}
}

func TestInstanceBodyRefuses(t *testing.T) {
	t.Parallel()
	id := bytes.Repeat([]byte{7}, 16)
	many := make([]string, maxKeys+1)
	for i := range many {
		many[i] = fmt.Sprintf("%06d", i)
	}
	tests := []struct {
		name string
		body instanceBody
		ok   bool
	}{
		{"sound", instanceBody{Instance: id, KeyIDs: []string{"a", "b"}}, true},
		{"empty", instanceBody{Instance: id, KeyIDs: []string{}}, true},
		{"full", instanceBody{Instance: id, KeyIDs: many[:maxKeys]}, true},
		{"too many keys", instanceBody{Instance: id, KeyIDs: many}, false},
		{"null list", instanceBody{Instance: id}, false},
		{"zero instance", instanceBody{Instance: make([]byte, 16), KeyIDs: []string{}}, false},
		{"short instance", instanceBody{Instance: id[1:], KeyIDs: []string{}}, false},
		{"twice the same", instanceBody{Instance: id, KeyIDs: []string{"a", "a"}}, false},
		{"not ascending", instanceBody{Instance: id, KeyIDs: []string{"b", "a"}}, false},
		{"bad id", instanceBody{Instance: id, KeyIDs: []string{""}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := testCodec(t).decodeInstance(mustMarshal(t, tt.body))
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, errBody) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestEncodingRefuses feeds CBOR that decodes to a sound value in a lax reader.
func TestEncodingRefuses(t *testing.T) {
	t.Parallel()
	id := append([]byte{0x50}, bytes.Repeat([]byte{7}, 16)...) // byte string of 16
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		name string
		data []byte
		ok   bool
	}{
		{"sound", join([]byte{0xa3, 1}, id, []byte{2, 0, 3, 0x80}), true},
		{"nothing", nil, false},
		{"trailing byte", join([]byte{0xa3, 1}, id, []byte{2, 0, 3, 0x80, 0}), false},
		{"duplicate key", join([]byte{0xa4, 1}, id, []byte{2, 0, 2, 0, 3, 0x80}), false},
		{"unknown key", join([]byte{0xa4, 1}, id, []byte{2, 0, 3, 0x80, 4, 0}), false},
		{"unknown text key", join([]byte{0xa4, 1}, id, []byte{2, 0, 3, 0x80, 0x61, 'x', 0}), false},
		{"missing key", join([]byte{0xa2, 1}, id, []byte{3, 0x80}), false},
		{"keys out of order", join([]byte{0xa3, 2, 0, 1}, id, []byte{3, 0x80}), false},
		{"long integer", join([]byte{0xa3, 1}, id, []byte{2, 0x18, 0, 3, 0x80}), false},
		{"indefinite map", join([]byte{0xbf, 1}, id, []byte{2, 0, 3, 0x80, 0xff}), false},
		{"indefinite array", join([]byte{0xa3, 1}, id, []byte{2, 0, 3, 0x9f, 0xff}), false},
		{"tag", join([]byte{0xc6, 0xa3, 1}, id, []byte{2, 0, 3, 0x80}), false},
		{"float", join([]byte{0xa3, 1}, id, []byte{2, 0xf9, 0, 0, 3, 0x80}), false},
		{"null time", join([]byte{0xa3, 1}, id, []byte{2, 0xf6, 3, 0x80}), false},
		{"array of ints as bytes", join([]byte{0xa3, 1, 0x90}, bytes.Repeat([]byte{7}, 16), []byte{2, 0, 3, 0x80}), false},
		{"not UTF-8", join([]byte{0xa3, 1}, id, []byte{2, 0, 3, 0x81, 0x61, 0xff}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := testCodec(t).decodeInstance(tt.data)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, errBody) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzDecodeBody(f *testing.F) {
	f.Add(mustMarshal(f, sampleKey()))
	f.Add(mustMarshal(f, instanceBody{Instance: bytes.Repeat([]byte{7}, 16), KeyIDs: []string{"a", "b"}}))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := testCodec(t)
		if r, err := c.decodeKey(bytes.Clone(data)); err == nil {
			if again, err := c.encodeKey(r); err != nil || !bytes.Equal(again, data) {
				t.Errorf("key %x came back as %x, %v", data, again, err)
			}
		} else if !errors.Is(err, errBody) {
			t.Errorf("key: %v", err)
		}
		if r, err := c.decodeInstance(bytes.Clone(data)); err == nil {
			if again, err := c.encodeInstance(r); err != nil || !bytes.Equal(again, data) {
				t.Errorf("instance %x came back as %x, %v", data, again, err)
			}
		} else if !errors.Is(err, errBody) {
			t.Errorf("instance: %v", err)
		}
	})
}

func FuzzOpenFile(f *testing.F) {
	key, err := cipher.SubkeyFromBytes(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	box := cipher.NewBox(key)
	f.Add(sealFile(box, "instance", kindInstance, []byte("body")))
	f.Add([]byte("CFKR\x01\x01"))
	f.Add([]byte("CFKR\x02\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := openFile(box, "instance", kindInstance, data)
		switch {
		case err == nil && string(body) != "body":
			t.Errorf("forged %q", body)
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer):
			t.Errorf("got %v", err)
		}
	})
}

// TestWrapContextIsInjective moves bytes between the fields that are bound.
func TestWrapContextIsInjective(t *testing.T) {
	t.Parallel()
	id := cipher.NewInstanceID()
	contexts := []wrapContext{
		{id, "ab", 1, []byte("c")},
		{id, "a", 1, []byte("bc")},
		{id, "abc", 1, nil},
		{id, "ab", 2, []byte("c")},
		{cipher.NewInstanceID(), "ab", 1, []byte("c")},
		{id, "a\x00\x00\x00\x01b", 1, []byte("c")},
	}
	seen := map[string]int{}
	for i, c := range contexts {
		if j, ok := seen[string(c.additional())]; ok {
			t.Errorf("%+v and %+v are bound alike", contexts[j], c)
		}
		seen[string(c.additional())] = i
	}
}
