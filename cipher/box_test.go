package cipher

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"testing"
)

var xaesIterations = flag.Int("xaes-iterations", 10_000, "length of the accumulated XAES-256-GCM test: 10000 or 1000000")

// boxWithNonce is a box that has one nonce to give.
func boxWithNonce(t *testing.T, key, nonce []byte) *Box {
	t.Helper()
	return newBox(must[*Subkey](t)(SubkeyFromBytes(key)), bytes.NewReader(nonce))
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(s))
}

// TestXAESVectors has the vectors of https://c2sp.org/XAES-256-GCM, with the intermediate values that it gives.
func TestXAESVectors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                       string
		key                        byte
		k1, derived, additional, c string
	}{
		{
			name: "MSB of L is 0", key: 1,
			k1:      "e531954aca063d5b8d9c47a47d4cc6f0",
			derived: "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
			c:       "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
		},
		{
			name: "MSB of L is 1", key: 3,
			k1:         "23810ec50edb99f374409466ed1f4b7b",
			derived:    "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
			additional: "c2sp.org/XAES-256-GCM",
			c:          "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key := bytes.Repeat([]byte{tt.key}, KeySize)
			nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
			x := newXAES(key)
			if got := hex.EncodeToString(x.k1[:]); got != tt.k1 {
				t.Errorf("K1 %s, want %s", got, tt.k1)
			}
			kx := x.derive(nonce[:xaesSaltSize])
			if got := hex.EncodeToString(kx[:]); got != tt.derived {
				t.Errorf("Kx %s, want %s", got, tt.derived)
			}
			want := append(append([]byte{boxFormat}, nonce...), unhex(t, tt.c)...)
			box := boxWithNonce(t, key, nonce)
			if got := box.Seal(nil, []byte("XAES-256-GCM"), []byte(tt.additional)); !bytes.Equal(got, want) {
				t.Errorf("sealed %x, want %x", got, want)
			}
			if got, err := box.Open(nil, want, []byte(tt.additional)); err != nil || string(got) != "XAES-256-GCM" {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

// TestXAESAccumulated is the randomised test of the same paper.
func TestXAESAccumulated(t *testing.T) {
	t.Parallel()
	want, ok := map[int]string{
		10_000:    "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939",
		1_000_000: "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15",
	}[*xaesIterations]
	if !ok {
		t.Fatalf("no result is published for %d iterations", *xaesIterations)
	}
	source, hash := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = source.Read(b)
		return b
	}
	for i := range *xaesIterations {
		key, nonce := read(KeySize), read(xaesNonceSize)
		plaintext := read(int(read(1)[0]))
		additional := read(int(read(1)[0]))
		box := boxWithNonce(t, key, nonce)
		sealed := box.Seal(nil, plaintext, additional)
		_, _ = hash.Write(sealed[boxText:])
		if got, err := box.Open(nil, sealed, additional); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("iteration %d: %v", i, err)
		}
	}
	sum := make([]byte, 32)
	_, _ = hash.Read(sum)
	if got := hex.EncodeToString(sum); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBoxRoundTrip(t *testing.T) {
	t.Parallel()
	box := NewBox(NewMasterKey())
	for _, size := range []int{0, 1, 15, 16, 17, 4096, 65536} {
		for _, additional := range [][]byte{nil, []byte("key")} {
			t.Run(fmt.Sprintf("%d with %q", size, additional), func(t *testing.T) {
				t.Parallel()
				plain := pattern(size)
				sealed := box.Seal([]byte("before"), plain, additional)
				if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != 6+size+BoxOverhead {
					t.Fatalf("sealed into %d bytes", len(sealed))
				}
				if size >= 16 && bytes.Contains(sealed, plain[:16]) {
					t.Error("plaintext in the box")
				}
				got, err := box.Open([]byte("before"), sealed[6:], additional)
				if err != nil || !bytes.Equal(got, append([]byte("before"), plain...)) {
					t.Errorf("open: %v", err)
				}
				if again := box.Seal(nil, plain, additional); bytes.Equal(again[1:boxText], sealed[7:6+boxText]) {
					t.Error("the same nonce twice")
				}
			})
		}
	}
}

func TestBoxDetects(t *testing.T) {
	t.Parallel()
	box := NewBox(must[*MasterKey](t)(MasterKeyFromBytes(testKeyBytes())))
	plain, additional := pattern(40), []byte("bucket/key")
	sealed := box.Seal(nil, plain, additional)
	other := box.Seal(nil, pattern(41), additional)
	splice := append(bytes.Clone(sealed[:boxText]), other[boxText:]...)
	tests := []struct {
		name       string
		box        *Box
		sealed     []byte
		additional []byte
		want       error
	}{
		{"untouched", box, sealed, additional, nil},
		{"another key", NewBox(NewMasterKey()), sealed, additional, ErrAuth},
		{"another place", box, sealed, []byte("bucket/kez"), ErrAuth},
		{"no place", box, sealed, nil, ErrAuth},
		{"text of another box", box, splice, additional, ErrAuth},
		{"extended", box, append(bytes.Clone(sealed), 0), additional, ErrAuth},
		{"one byte less", box, sealed[:len(sealed)-1], additional, ErrAuth},
		{"empty", box, nil, additional, ErrTruncated},
		{"shorter than any", box, sealed[:BoxOverhead-1], additional, ErrTruncated},
		{"format 0", box, append([]byte{0}, sealed[1:]...), additional, ErrVersion},
		{"format 2", box, append([]byte{2}, sealed[1:]...), additional, ErrVersion},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.box.Open(nil, tt.sealed, tt.additional)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if (got != nil) != (tt.want == nil) {
				t.Errorf("opened %d bytes beside %v", len(got), err)
			}
			if err != nil && leaks(err.Error(), testKeyBytes()) != "" {
				t.Error("the error prints the key")
			}
		})
	}
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := box.Open(nil, bad, additional); got != nil || !errors.Is(err, ErrAuth) && !errors.Is(err, ErrFormat) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
}

// pattern returns n bytes that do not repeat: the same ones for the same n.
func pattern(n int) []byte {
	b := make([]byte, n)
	s := sha3.NewSHAKE128()
	_, _ = fmt.Fprintf(s, "pattern of %d bytes", n)
	_, _ = s.Read(b)
	return b
}
