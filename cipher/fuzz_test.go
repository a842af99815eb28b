package cipher

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzChunk opens arbitrary bytes, and a genuine chunk with arbitrary changes. Whatever opens must be what was
// sealed.
func FuzzChunk(f *testing.F) {
	key, id := must[*DataKey](f)(DataKeyFromBytes(fixed("data key", KeySize))), ChunkID(fixed("chunk id", IDSize))
	for _, size := range []int{0, 1, MinFrameSize, 2*MinFrameSize + 1} {
		f.Add(must[[]byte](f)(SealChunk(nil, key, id, MinFrameSize, fixed("plaintext", size))), uint(0), uint(size), byte(1), uint(size))
	}
	f.Fuzz(func(t *testing.T, data []byte, log2, size uint, mask byte, position uint) {
		opened, err := OpenChunk(nil, key, id, data)
		checkKind(t, err)
		if r, err := NewChunkReader(bytes.NewReader(data), int64(len(data)), key, id); err != nil {
			checkKind(t, err)
			if opened != nil {
				t.Fatal("OpenChunk opens what ChunkReader does not")
			}
		} else {
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			if (err == nil && r.Size() > 0) != (len(opened) > 0) || err == nil && !bytes.Equal(got, opened) {
				t.Fatalf("OpenChunk and ChunkReader differ: %v", err)
			}
		}

		frameSize := MinFrameSize << (log2 % 9)
		plain := pattern(int(size % (1 << 15)))
		sealed := must[[]byte](t)(SealChunk(nil, key, id, frameSize, plain))
		if got, err := OpenChunk(nil, key, id, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("round trip of %d in %d: %v", len(plain), frameSize, err)
		}
		if mask != 0 {
			sealed[position%uint(len(sealed))] ^= mask
			if _, err := OpenChunk(nil, key, id, sealed); err == nil {
				t.Fatalf("opened with byte %d changed", position%uint(len(sealed)))
			}
		}
	})
}

// FuzzSealedKey decodes arbitrary bytes: what is accepted must encode to the same bytes again.
func FuzzSealedKey(f *testing.F) {
	kek := must[*KEK](f)(KEKFromBytes(fixed("kek", KeySize)))
	for _, s := range sealedKeys() {
		f.Add(must[[]byte](f)(s.MarshalBinary()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s SealedKey
		err := s.UnmarshalBinary(data)
		checkKind(t, err)
		if err != nil {
			return
		}
		if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("another encoding: %v", err)
		}
		if _, err := s.Open(kek, Binding{}); !errors.Is(err, ErrAuth) {
			t.Fatalf("opened: %v", err)
		}
	})
}

// FuzzBox opens arbitrary bytes, and a genuine box with arbitrary changes.
func FuzzBox(f *testing.F) {
	box := NewBox(must[*Subkey](f)(SubkeyFromBytes(fixed("box key", KeySize))))
	f.Add([]byte{}, []byte{}, byte(1), uint(0))
	f.Add(box.Seal(nil, []byte("value"), []byte("key")), []byte("key"), byte(1), uint(30))
	f.Fuzz(func(t *testing.T, data, additional []byte, mask byte, position uint) {
		_, err := box.Open(nil, data, additional)
		checkKind(t, err)
		sealed := box.Seal(nil, data, additional)
		if got, err := box.Open(nil, sealed, additional); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("round trip: %v", err)
		}
		if mask != 0 {
			sealed[position%uint(len(sealed))] ^= mask
			if _, err := box.Open(nil, sealed, additional); err == nil {
				t.Fatalf("opened with byte %d changed", position%uint(len(sealed)))
			}
		}
		if _, err := box.Open(nil, box.Seal(nil, data, additional), append(additional, 0)); !errors.Is(err, ErrAuth) {
			t.Fatalf("opened in another place: %v", err)
		}
	})
}

// checkKind checks that an error over foreign bytes is one of those the package promises.
func checkKind(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrAuth) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSize) {
		t.Fatalf("an error of another kind: %v", err)
	}
}
