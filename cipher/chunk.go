package cipher

import (
	"fmt"
	"slices"
)

// SealChunk appends plaintext, sealed as the chunk id, to dst: the same bytes that a ChunkWriter makes of it. The
// room behind dst must not overlap plaintext. What NewChunkWriter says of ids holds. The errors are ErrSize, ErrKey
// and ErrID.
func SealChunk(dst []byte, key *DataKey, id ChunkID, frameSize int, plaintext []byte) ([]byte, error) {
	sealed, err := SealedSize(int64(len(plaintext)), frameSize)
	if err != nil {
		return nil, fmt.Errorf("seal chunk: %w", err)
	}
	frames, header, err := newFrames(key, id, frameSize)
	if err != nil {
		return nil, fmt.Errorf("seal chunk: %w", err)
	}
	dst = slices.Grow(dst, int(sealed))
	dst = append(dst, header[:]...)
	p := new(position)
	for index := int64(0); ; index++ {
		k := min(len(plaintext), frameSize)
		final := k == len(plaintext)
		dst = frames.seal(dst, plaintext[:k], p, index, final)
		plaintext = plaintext[k:]
		if final {
			return dst, nil
		}
	}
}

// OpenChunk appends the plaintext of the chunk id, whose whole sealed form it is given, to dst. The room behind dst
// must not overlap sealed. The errors are those of NewChunkReader and ErrAuth; with any of them nothing is appended.
func OpenChunk(dst []byte, key *DataKey, id ChunkID, sealed []byte) ([]byte, error) {
	out, err := openChunk(dst, key, id, sealed)
	if err != nil {
		return nil, fmt.Errorf("open chunk %s: %w", id, err)
	}
	return out, nil
}

func openChunk(dst []byte, key *DataKey, id ChunkID, sealed []byte) ([]byte, error) {
	if len(sealed) < HeaderSize+FrameOverhead {
		return nil, fmt.Errorf("%w: %d bytes", ErrTruncated, len(sealed))
	}
	frameSize, err := parseHeader(sealed, id)
	if err != nil {
		return nil, err
	}
	plain, err := PlainSize(int64(len(sealed)), frameSize)
	if err != nil {
		return nil, err
	}
	frames, _, err := newFrames(key, id, frameSize)
	if err != nil {
		return nil, err
	}
	begin := len(dst)
	dst = slices.Grow(dst, int(plain))[:begin+int(plain)]
	text := dst[begin:]
	sealed = sealed[HeaderSize:]
	p := new(position)
	for index := int64(0); len(sealed) > 0; index++ {
		frame := sealed[:min(len(sealed), frames.sealed())]
		sealed = sealed[len(frame):]
		k := len(frame) - FrameOverhead
		if err := frames.open(text[:k], frame, p, index, len(sealed) == 0); err != nil {
			clear(dst[begin:])
			return nil, err
		}
		text = text[k:]
	}
	return dst, nil
}
