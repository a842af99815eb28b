package cipher

import (
	"bytes"
	"crypto/sha3"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The golden files are the format: what they hold must open for ever. They were made once; the flag makes files
// that are missing, for a new case, and never touches one that exists.
var makeGolden = flag.Bool("make-golden", false, "write golden files that do not exist yet")

const goldenDir = "testdata/v1"

// fixed returns the n bytes of a name. testdata/v1/README.md says how.
func fixed(name string, n int) []byte {
	b := make([]byte, n)
	_, _ = fixedStream(name).Read(b)
	return b
}

func fixedStream(name string) io.Reader {
	s := sha3.NewSHAKE128()
	_, _ = io.WriteString(s, "coffer golden v1: "+name)
	return s
}

// golden checks got against a file, or makes the file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(goldenDir, name)
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *makeGolden {
		writeGolden(t, path, got)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: what is written today differs from it", name)
	}
}

func writeGolden(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// readGolden returns a file that golden has checked before.
func readGolden(t *testing.T, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(filepath.Join(goldenDir, name)))
}

type goldenChunk struct {
	file      string
	frameSize int
	size      int
}

func goldenChunks() []goldenChunk {
	return []goldenChunk{
		{"chunk-empty.bin", MinFrameSize, 0},
		{"chunk-one-byte.bin", MinFrameSize, 1},
		{"chunk-one-frame.bin", MinFrameSize, MinFrameSize},
		{"chunk-one-frame-and-one.bin", MinFrameSize, MinFrameSize + 1},
		{"chunk-three-frames.bin", MinFrameSize, 2*MinFrameSize + 1000},
		{"chunk-default-frames.bin", DefaultFrameSize, DefaultFrameSize + 1000},
	}
}

func TestGoldenChunks(t *testing.T) {
	t.Parallel()
	key := must[*DataKey](t)(DataKeyFromBytes(fixed("data key", KeySize)))
	for _, tt := range goldenChunks() {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			id, plain := ChunkID(fixed("chunk id", IDSize)), fixed("plaintext", tt.size)
			golden(t, tt.file, must[[]byte](t)(SealChunk(nil, key, id, tt.frameSize, plain)))
			file := readGolden(t, tt.file)
			if got, err := OpenChunk(nil, key, id, file); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("OpenChunk: %v", err)
			}
			r := readerOf(t, file, key, id)
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			if err := errors.Join(err, r.CheckSize()); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("ChunkReader: %v", err)
			}
		})
	}
}

func TestGoldenBox(t *testing.T) {
	t.Parallel()
	box := newBox(must[*Subkey](t)(SubkeyFromBytes(fixed("box key", KeySize))), fixedStream("box nonce"))
	plain, additional := fixed("box plaintext", 100), fixed("box additional", 30)
	golden(t, "box.bin", box.Seal(nil, plain, additional))
	if got, err := box.Open(nil, readGolden(t, "box.bin"), additional); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Open: %v", err)
	}
}

func TestGoldenSealedKeys(t *testing.T) {
	t.Parallel()
	kek := must[*KEK](t)(KEKFromBytes(fixed("kek", KeySize)))
	dk := must[*DataKey](t)(DataKeyFromBytes(fixed("data key", KeySize)))
	b := Binding{
		Store: StoreID(fixed("store id", IDSize)), Bucket: BucketID(fixed("bucket id", IDSize)),
		Object: ObjectID(fixed("object id", IDSize)),
	}
	routed := SealedKey{
		Instance:       InstanceID(fixed("instance id", IDSize)),
		KeyFingerprint: Fingerprint(fixed("fingerprint", IDSize)),
		KeyVersion:     3,
		Context:        fixed("context", 50),
	}
	with := func(change func(*SealedKey)) SealedKey {
		s := routed
		change(&s)
		return s
	}
	tests := []struct {
		file string
		s    SealedKey
	}{
		{"sealedkey-sse-s3.bin", with(func(s *SealedKey) { s.Mode, s.Generation = ModeSSES3, 5 })},
		{"sealedkey-sse-kms.bin", with(func(s *SealedKey) { s.Mode, s.Wrapped = ModeSSEKMS, fixed("wrapped", 90) })},
		{"sealedkey-sse-kms-bucket.bin", with(func(s *SealedKey) { s.Mode, s.Generation = ModeSSEKMS, 5 })},
		{"sealedkey-sse-c.bin", SealedKey{Mode: ModeSSEC}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			if err := tt.s.seal(kek, dk, b, fixedStream("salt and nonce")); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.file, must[[]byte](t)(tt.s.MarshalBinary()))
			var got SealedKey
			if err := got.UnmarshalBinary(readGolden(t, tt.file)); err != nil || !got.Equal(tt.s) {
				t.Fatalf("UnmarshalBinary: %v", err)
			}
			if opened, err := got.Open(kek, b); err != nil || !opened.Equal(dk) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestGoldenSubkeys(t *testing.T) {
	t.Parallel()
	k := must[*StoreKey](t)(StoreKeyFromBytes(fixed("store key", KeySize)))
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, "fingerprint %s\n", k.Fingerprint())
	for _, label := range []Label{LabelBadger, LabelValues, LabelKeyring, LabelConfig, LabelAudit, LabelNames} {
		_, _ = fmt.Fprintf(&out, "%s %x\n", label, k.Derive(label).Expose())
	}
	golden(t, "subkeys.txt", out.Bytes())
}
