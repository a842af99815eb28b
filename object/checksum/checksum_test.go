package checksum

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestDigestsOfCheckString(t *testing.T) {
	// "123456789" is the check input of the CRC catalogue (reveng); SHA values from FIPS 180 implementations.
	want := map[Algorithm]string{
		CRC32:     "cbf43926",
		CRC32C:    "e3069283",
		CRC64NVME: "ae8b14860a799888",
		SHA1:      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256:    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	}
	for _, a := range Algorithms() {
		t.Run(a.String(), func(t *testing.T) {
			h := a.New()
			h.Write([]byte("123456789"))
			got := h.Sum(nil)
			if hex.EncodeToString(got) != want[a] || len(got) != a.Size() {
				t.Fatalf("digest %x, want %s", got, want[a])
			}
			if parsed, err := Parse(a.String()); err != nil || parsed != a {
				t.Fatalf("Parse(%q) = %v, %v", a, parsed, err)
			}
		})
	}
}

func TestCombineEqualsDigestOfWhole(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 300_000)
	random.Read(data)
	digest := func(a Algorithm, p []byte) []byte {
		h := a.New()
		h.Write(p)
		return h.Sum(nil)
	}
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		for _, cut := range []int{0, 1, 7, 4096, 65537, len(data) - 1, len(data)} {
			got, err := Combine(a, digest(a, data[:cut]), digest(a, data[cut:]), int64(len(data)-cut))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, digest(a, data)) {
				t.Errorf("%s cut at %d: combined %x, want %x", a, cut, got, digest(a, data))
			}
		}
	}
}

func TestCombineRefuses(t *testing.T) {
	if _, err := Combine(SHA256, make([]byte, 32), make([]byte, 32), 1); !errors.Is(err, ErrNotLinear) {
		t.Errorf("SHA256: %v", err)
	}
	if _, err := Combine(CRC32, make([]byte, 4), make([]byte, 3), 1); !errors.Is(err, ErrWrongWidth) {
		t.Errorf("short: %v", err)
	}
	if _, err := Parse("md5"); !errors.Is(err, ErrUnknown) {
		t.Errorf("md5: %v", err)
	}
}
