package cipher

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	stdcipher "crypto/cipher"
)

// The header of a chunk is
//
//	magic         4 bytes   "CFCK"
//	version       1 byte    1
//	frame size    1 byte    its logarithm to base 2, 12 to 20
//	reserved     10 bytes   zero
//	chunk id     16 bytes
//
// and every byte of it goes into the derivation of the chunk key, so that it needs no seal of its own.
const (
	chunkMagic     = "CFCK"
	chunkVersion   = 1
	headerVersion  = 4
	headerLog2     = 5
	headerReserved = 6
	headerID       = 16
)

func chunkHeader(id ChunkID, frameSize int) [HeaderSize]byte {
	var h [HeaderSize]byte
	copy(h[:], chunkMagic)
	h[headerVersion] = chunkVersion
	h[headerLog2] = byte(bits.TrailingZeros(uint(frameSize)))
	copy(h[headerID:], id[:])
	return h
}

// parseHeader returns the frame size of a chunk whose header should name id.
func parseHeader(h []byte, id ChunkID) (frameSize int, err error) {
	if string(h[:headerVersion]) != chunkMagic {
		return 0, fmt.Errorf("%w: no chunk header", ErrFormat)
	}
	if h[headerVersion] != chunkVersion {
		return 0, fmt.Errorf("%w %d of a chunk", ErrVersion, h[headerVersion])
	}
	if log2 := h[headerLog2]; log2 < 12 || log2 > 20 {
		return 0, fmt.Errorf("%w: frame size 2^%d", ErrFormat, log2)
	}
	for _, b := range h[headerReserved:headerID] {
		if b != 0 {
			return 0, fmt.Errorf("%w: reserved bytes in use", ErrFormat)
		}
	}
	if ChunkID(h[headerID:HeaderSize]) != id {
		return 0, fmt.Errorf("%w: header of another chunk", ErrAuth)
	}
	return 1 << h[headerLog2], nil
}

// frames seals and opens the frames of one chunk. It is safe for concurrent use.
type frames struct {
	aead      stdcipher.AEAD
	frameSize int
}

func newFrames(key *DataKey, id ChunkID, frameSize int) (frames, [HeaderSize]byte, error) {
	var none [HeaderSize]byte
	if err := CheckFrameSize(frameSize); err != nil {
		return frames{}, none, err
	}
	if id.IsZero() {
		return frames{}, none, fmt.Errorf("%w: zero chunk id", ErrID)
	}
	if key == nil {
		return frames{}, none, fmt.Errorf("%w: none given", ErrKey)
	}
	secret, err := key.usable()
	if err != nil {
		return frames{}, none, err
	}
	header := chunkHeader(id, frameSize)
	chunkKey := hkdfSHA256(secret, id[:], infoChunk+string(header[:]), KeySize)
	defer clear(chunkKey)
	return frames{aead: newGCM(chunkKey), frameSize: frameSize}, header, nil
}

// sealed returns the length of a full frame.
func (f frames) sealed() int { return f.frameSize + FrameOverhead }

// unit returns the length of what a ChunkWriter hands on at once: a header's worth, and full frames.
func (f frames) unit() int { return HeaderSize + framesIn(writeUnit, f.frameSize)*f.sealed() }

// seal appends a frame to dst. plaintext either begins exactly where the frame will, or does not overlap it.
func (f frames) seal(dst, plaintext []byte, p *position, index int64, final bool) []byte {
	p.set(index, final)
	return f.aead.Seal(dst, p.nonce[:], plaintext, p.additional[:])
}

// open writes the plaintext of a frame to dst, which is as long as it and either begins exactly where sealed does or
// does not overlap it. With an error dst is zeroed.
func (f frames) open(dst, sealed []byte, p *position, index int64, final bool) error {
	p.set(index, final)
	if _, err := f.aead.Open(dst[:0:len(dst)], p.nonce[:], sealed, p.additional[:]); err != nil {
		return fmt.Errorf("frame %d: %w", index, ErrAuth)
	}
	return nil
}

// position is what AES-GCM is told of a frame's place. It lives in objects that are on the heap anyway,
// because whatever is passed through the interface stdcipher.AEAD would be allocated for every frame otherwise.
type position struct {
	nonce      [gcmNonceSize]byte // 96-bit big-endian index of the frame
	additional [10]byte           // version, 64-bit big-endian index, 1 in the last frame and else 0
}

func (p *position) set(index int64, final bool) {
	binary.BigEndian.PutUint64(p.nonce[gcmNonceSize-8:], uint64(index))
	p.additional[0] = chunkVersion
	binary.BigEndian.PutUint64(p.additional[1:], uint64(index))
	p.additional[9] = 0
	if final {
		p.additional[9] = 1
	}
}
