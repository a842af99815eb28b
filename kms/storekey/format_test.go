package storekey

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk/disktest"
)

func testCodec(t testing.TB) codec {
	t.Helper()
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sample is a body with a slot of every kind.
func sample() body {
	fill := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	return body{
		Store: fill(16, 1), Fingerprint: fill(16, 2), Created: -1, Next: 9,
		Slots: []slotBody{
			{ID: 1, Kind: uint8(KeyFile), Label: "", Changed: 1, Salt: fill(16, 3), Wrapped: fill(73, 4)},
			{ID: 3, Kind: uint8(Passphrase), Label: "ä", Changed: 2, Salt: fill(16, 5), MemoryKiB: 8, Passes: 1, Lanes: 1, Wrapped: fill(73, 6)},
			{ID: 8, Kind: uint8(Environment), Label: "x", Changed: 3, Salt: fill(16, 7), MemoryKiB: MaxMemoryKiB, Passes: MaxPasses, Lanes: MaxLanes, Wrapped: fill(73, 8)},
		},
	}
}

func mustEncode(t testing.TB, b body) []byte {
	t.Helper()
	data, err := testCodec(t).encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sealed frames CBOR as a file with the right digest.
func sealed(encoded []byte) []byte {
	data := append([]byte("CFSK\x01"), encoded...)
	sum := sha256.Sum256(data)
	return append(data, sum[:]...)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	got, err := testCodec(t).decode(mustEncode(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestBodyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*body)
	}{
		{"store id", func(b *body) { b.Store = b.Store[1:] }},
		{"fingerprint", func(b *body) { b.Fingerprint = nil }},
		{"no slot", func(b *body) { b.Slots = nil }},
		{"too many slots", func(b *body) {
			b.Slots = nil
			for i := range uint32(maxSlots + 1) {
				s := sample().Slots[0]
				s.ID = i + 1
				b.Slots = append(b.Slots, s)
			}
			b.Next = maxSlots + 2
		}},
		{"slot 0", func(b *body) { b.Slots[0].ID = 0 }},
		{"slots not ascending", func(b *body) { b.Slots[1].ID = 1 }},
		{"next slot is there", func(b *body) { b.Next = 8 }},
		{"ids used up", func(b *body) { b.Next = math.MaxUint32 }},
		{"kind 0", func(b *body) { b.Slots[0].Kind = 0 }},
		{"kind 4", func(b *body) { b.Slots[1].Kind = 4 }},
		{"salt", func(b *body) { b.Slots[0].Salt = append(b.Slots[0].Salt, 0) }},
		{"wrapped short", func(b *body) { b.Slots[0].Wrapped = b.Slots[0].Wrapped[1:] }},
		{"wrapped missing", func(b *body) { b.Slots[0].Wrapped = nil }},
		{"label long", func(b *body) { b.Slots[0].Label = strings.Repeat("l", 65) }},
		{"label with a control character", func(b *body) { b.Slots[0].Label = "\x1b[2J" }},
		{"key file with costs", func(b *body) { b.Slots[0].Passes = 1 }},
		{"passphrase without costs", func(b *body) { b.Slots[1].MemoryKiB, b.Slots[1].Passes, b.Slots[1].Lanes = 0, 0, 0 }},
		{"memory of 4 TiB", func(b *body) { b.Slots[1].MemoryKiB = math.MaxUint32 }},
		{"memory above the limit", func(b *body) { b.Slots[1].MemoryKiB = MaxMemoryKiB + 1 }},
		{"passes above the limit", func(b *body) { b.Slots[2].Passes = math.MaxUint32 }},
		{"lanes above the limit", func(b *body) { b.Slots[2].Lanes = MaxLanes + 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := sample()
			tt.change(&b)
			_, err := testCodec(t).decode(mustEncode(t, b))
			if !errors.Is(err, ErrDamaged) || !errors.Is(err, errBody) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestEncodingRefuses feeds CBOR that a lax reader would take.
func TestEncodingRefuses(t *testing.T) {
	t.Parallel()
	c := testCodec(t)
	sound, err := c.Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	if sound[0] != 0xa5 || !bytes.HasSuffix(sound, []byte{5, 9}) {
		t.Fatalf("the cases below do not fit %x", sound)
	}
	tests := []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"trailing byte", append(bytes.Clone(sound), 0)},
		{"duplicate key", append(append([]byte{0xa6}, sound[1:]...), 5, 9)},
		{"unknown key", append(append([]byte{0xa6}, sound[1:]...), 6, 0)},
		{"missing key", append([]byte{0xa4}, sound[1:len(sound)-2]...)},
		{"long integer", append(bytes.Clone(sound[:len(sound)-1]), 0x18, 9)},
		{"indefinite map", append(append([]byte{0xbf}, sound[1:]...), 0xff)},
		{"tag", append([]byte{0xc6}, sound...)},
		{"out of order", append([]byte{0xa5, 5, 9}, sound[1:len(sound)-2]...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.decode(sealed(tt.data)); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := c.decode(sealed(sound)); err != nil {
		t.Error(err)
	}
}

func TestFileDamaged(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	mustCreate(t, fsys)
	sound := contents(t, fsys)
	newer := bytes.Clone(sound)
	newer[4] = 2
	older := bytes.Clone(sound)
	older[4] = 0
	tests := []struct {
		name   string
		data   []byte
		want   error
		remedy string
	}{
		{"empty", nil, ErrDamaged, "restore it from a backup"},
		{"magic alone", []byte("CFSK\x01"), ErrDamaged, "restore it from a backup"},
		{"cut", sound[:len(sound)-1], ErrDamaged, "restore it from a backup"},
		{"extended", append(bytes.Clone(sound), 0), ErrDamaged, "restore it from a backup"},
		{"too large", make([]byte, maxFileSize+1), ErrDamaged, "restore it from a backup"},
		{"text", []byte(strings.Repeat("hello ", 50)), ErrDamaged, "restore it from a backup"},
		{"newer", newer, ErrNewer, "version of Coffer"},
		{"version 0", older, ErrDamaged, "restore it from a backup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fsys := disktest.NewCrash(disktest.Options{})
			put(t, fsys, tt.data)
			_, err := Load(options(fsys))
			wantFault(t, err, tt.want, tt.remedy)
			_, _, err = Create(options(fsys), NewSlot{Secret: secret(t, Passphrase, "p"), Cost: cheap()})
			if err == nil {
				t.Error("a damaged file was made anew")
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		_, err := Load(options(disktest.NewCrash(disktest.Options{})))
		wantFault(t, err, ErrMissing, "restore it from a backup")
	})
}

func wantFault(t *testing.T, err, want error, remedy string) {
	t.Helper()
	var e *FileError
	if !errors.As(err, &e) || !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
		return
	}
	if !strings.Contains(err.Error(), FileName) || !strings.Contains(err.Error(), remedy) {
		t.Errorf("%v does not name file and remedy", err)
	}
}

func TestEveryBitOfTheFile(t *testing.T) {
	t.Parallel()
	c, data := testCodec(t), mustEncode(t, sample())
	for bit := range len(data) * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		if _, err := c.decode(data); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
}

// TestForgedSlots edits slots as an attacker would, with the digest made anew:
// the right secret then opens nothing.
func TestForgedSlots(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, key := mustCreate(t, fsys)
	if _, err := f.Add(key, NewSlot{Secret: secret(t, KeyFile, "file")}); err != nil {
		t.Fatal(err)
	}
	foreign, _ := mustCreate(t, disktest.NewCrash(disktest.Options{}))
	tests := []struct {
		name   string
		change func(*body)
	}{
		{"label", func(b *body) { b.Slots[0].Label = "eno"; b.Slots[1].Label = "x" }},
		{"time", func(b *body) { b.Slots[0].Changed++; b.Slots[1].Changed++ }},
		{"id", func(b *body) { b.Slots[0].ID, b.Slots[1].ID, b.Next = 3, 4, 5 }},
		{"salt", func(b *body) { b.Slots[0].Salt[0] ^= 1; b.Slots[1].Salt[0] ^= 1 }},
		{"costs", func(b *body) { b.Slots[0].MemoryKiB++; b.Slots = b.Slots[:1] }},
		{"store id", func(b *body) { b.Store[0] ^= 1 }},
		{"fingerprint", func(b *body) { b.Fingerprint[0] ^= 1 }},
		{"slot of another store", func(b *body) { b.Slots = foreign.body.Slots }},
		{"exchanged", func(b *body) { b.Slots[0].Wrapped, b.Slots[1].Wrapped = b.Slots[1].Wrapped, b.Slots[0].Wrapped }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := testCodec(t).decode(contents(t, fsys))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&b)
			forged := disktest.NewCrash(disktest.Options{})
			put(t, forged, mustEncode(t, b))
			f := mustLoad(t, forged)
			wantWrong(t, f, secret(t, Passphrase, "first"))
			wantWrong(t, f, secret(t, KeyFile, "file"))
		})
	}
	wantOpens(t, mustLoad(t, fsys), secret(t, KeyFile, "file"), key)
}

// TestSlotWithAnotherKey has a slot that opens and holds the wrong key, as only
// a writer with the right one could make it.
func TestSlotWithAnotherKey(t *testing.T) {
	t.Parallel()
	fsys := disktest.NewCrash(disktest.Options{})
	f, _ := mustCreate(t, fsys)
	b := f.body
	s, err := f.seal(b, 1, cipher.NewStoreKey(), NewSlot{Secret: secret(t, Passphrase, "first"), Cost: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	b.Slots = []slotBody{s}
	put(t, fsys, mustEncode(t, b))
	_, err = mustLoad(t, fsys).Unlock(secret(t, Passphrase, "first"))
	wantFault(t, err, ErrDamaged, "restore")
}

func FuzzDecode(f *testing.F) {
	whole := mustEncode(f, sample())
	f.Add(whole[headerSize : len(whole)-sha256.Size])
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		c := testCodec(t)
		data := sealed(encoded)
		b, err := c.decode(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("got %v", err)
			}
			return
		}
		for _, s := range b.Slots {
			if Kind(s.Kind).stretched() && s.cost().Validate() != nil {
				t.Errorf("costs %+v were let through", s.cost())
			}
		}
		if again, err := c.encode(b); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
		_, _ = c.decode(encoded)
	})
}
