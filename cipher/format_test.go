package cipher

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	stdcipher "crypto/cipher"
)

// This file reads the golden files a second time, straight from FORMAT.md, with nothing of this package: literal
// numbers and strings, HKDF spelled out in HMAC. Where the two readings differ, one of paper and code is wrong.

func handHKDF(key, salt []byte, info string, size int) []byte {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			_, _ = m.Write(p)
		}
		return m.Sum(nil)
	}
	return mac(mac(salt, key), []byte(info), []byte{1})[:size]
}

func handOpen(t *testing.T, key, nonce, text, additional []byte) []byte {
	t.Helper()
	block := must[stdcipher.Block](t)(aes.NewCipher(key))
	aead := must[stdcipher.AEAD](t)(stdcipher.NewGCM(block))
	return must[[]byte](t)(aead.Open(nil, nonce, text, additional))
}

func TestFormatOfChunks(t *testing.T) {
	t.Parallel()
	for _, tt := range goldenChunks() {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			file := readGolden(t, tt.file)
			header, rest := file[:32], file[32:]
			id := fixed("chunk id", 16)
			log2 := map[int]byte{4096: 12, 65536: 16}[tt.frameSize]
			if want := slices.Concat([]byte("CFCK"), []byte{1, log2}, make([]byte, 10), id); !bytes.Equal(header, want) {
				t.Errorf("header %x, want %x", header, want)
			}
			key := handHKDF(fixed("data key", 32), id, "coffer/v1/chunk"+string(header), 32)
			var plain []byte
			for index := byte(0); len(rest) > 0; index++ {
				frame := rest[:min(len(rest), tt.frameSize+16)]
				rest = rest[len(frame):]
				final := byte(0)
				if len(rest) == 0 {
					final = 1
				}
				nonce := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index}
				additional := []byte{1, 0, 0, 0, 0, 0, 0, 0, index, final}
				plain = append(plain, handOpen(t, key, nonce, frame, additional)...)
			}
			if !bytes.Equal(plain, fixed("plaintext", tt.size)) {
				t.Error("another plaintext")
			}
		})
	}
}

func TestFormatOfBox(t *testing.T) {
	t.Parallel()
	file := readGolden(t, "box.bin")
	nonce := fixed("box nonce", 24)
	if file[0] != 1 || !bytes.Equal(file[1:25], nonce) {
		t.Errorf("begins %x", file[:25])
	}
	block := must[stdcipher.Block](t)(aes.NewCipher(fixed("box key", 32)))
	var k1, m1, m2 [16]byte
	block.Encrypt(k1[:], k1[:])
	carry := byte(0)
	for i := 15; i >= 0; i-- {
		k1[i], carry = k1[i]<<1|carry, k1[i]>>7
	}
	if carry == 1 {
		k1[15] ^= 0x87
	}
	for i := range 16 {
		m1[i] = slices.Concat([]byte{0, 1, 'X', 0}, nonce[:12])[i] ^ k1[i]
		m2[i] = slices.Concat([]byte{0, 2, 'X', 0}, nonce[:12])[i] ^ k1[i]
	}
	block.Encrypt(m1[:], m1[:])
	block.Encrypt(m2[:], m2[:])
	plain := handOpen(t, slices.Concat(m1[:], m2[:]), nonce[12:], file[25:], fixed("box additional", 30))
	if !bytes.Equal(plain, fixed("box plaintext", 100)) {
		t.Error("another plaintext")
	}
}

func TestFormatOfSealedKeys(t *testing.T) {
	t.Parallel()
	routed := slices.Concat(fixed("instance id", 16), fixed("fingerprint", 16), []byte{0, 0, 0, 3})
	context := fixed("context", 50)
	tests := []struct {
		file    string
		mode    byte
		routing []byte // instance, fingerprint, version, generation
		wrapped []byte // with its length
		context []byte // with its length
	}{
		{"sealedkey-sse-s3.bin", 1, slices.Concat(routed, []byte{0, 0, 0, 5}), []byte{0, 0, 0, 0}, slices.Concat([]byte{0, 0, 0, 50}, context)},
		{"sealedkey-sse-kms.bin", 2, slices.Concat(routed, []byte{0, 0, 0, 0}), slices.Concat([]byte{0, 0, 0, 90}, fixed("wrapped", 90)), slices.Concat([]byte{0, 0, 0, 50}, context)},
		{"sealedkey-sse-kms-bucket.bin", 2, slices.Concat(routed, []byte{0, 0, 0, 5}), []byte{0, 0, 0, 0}, slices.Concat([]byte{0, 0, 0, 50}, context)},
		{"sealedkey-sse-c.bin", 3, make([]byte, 40), []byte{0, 0, 0, 0}, []byte{0, 0, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			file := readGolden(t, tt.file)
			salt, nonce := fixed("salt and nonce", 44)[:32], fixed("salt and nonce", 44)[32:]
			want := slices.Concat([]byte{1, tt.mode}, tt.routing, salt, nonce, file[86:134], tt.wrapped, tt.context)
			if !bytes.Equal(file, want) {
				t.Fatalf("%x, want %x", file, want)
			}
			key := handHKDF(fixed("kek", 32), salt, "coffer/v1/datakey"+string([]byte{tt.mode})+string(fixed("object id", 16)), 32)
			additional := slices.Concat([]byte{1, tt.mode}, fixed("store id", 16), fixed("bucket id", 16), fixed("object id", 16), tt.context)
			if got := handOpen(t, key, nonce, file[86:134], additional); !bytes.Equal(got, fixed("data key", 32)) {
				t.Error("another key")
			}
		})
	}
}

func TestFormatOfSubkeys(t *testing.T) {
	t.Parallel()
	key := fixed("store key", 32)
	lines := []string{"fingerprint " + hex.EncodeToString(handHKDF(key, nil, "coffer/v1/fingerprint", 16))}
	for _, label := range []string{"badger", "values", "keyring", "config", "audit", "names"} {
		lines = append(lines, label+" "+hex.EncodeToString(handHKDF(key, nil, "coffer/v1/store/"+label, 32)))
	}
	if got, want := string(readGolden(t, "subkeys.txt")), strings.Join(lines, "\n")+"\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
