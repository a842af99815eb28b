package cipher

import (
	"fmt"
	"math/bits"
)

// Sizes of the chunk format, in bytes.
const (
	HeaderSize       = 32
	FrameOverhead    = gcmTagSize
	DefaultFrameSize = 64 << 10
	MinFrameSize     = 4 << 10
	MaxFrameSize     = 1 << 20
	MaxChunkSize     = 1 << 40 // of plaintext; far below every limit of AES-256-GCM under one key
)

// CheckFrameSize returns ErrSize unless frameSize is a power of two from MinFrameSize to MaxFrameSize.
func CheckFrameSize(frameSize int) error {
	if frameSize < MinFrameSize || frameSize > MaxFrameSize || bits.OnesCount(uint(frameSize)) != 1 {
		return fmt.Errorf("%w: frame size %d", ErrSize, frameSize)
	}
	return nil
}

// SealedSize returns the length of the chunk that holds plain bytes in frames of frameSize, or ErrSize.
func SealedSize(plain int64, frameSize int) (int64, error) {
	if err := CheckFrameSize(frameSize); err != nil {
		return 0, err
	}
	if plain < 0 || plain > MaxChunkSize {
		return 0, fmt.Errorf("%w: chunk of %d bytes", ErrSize, plain)
	}
	return HeaderSize + plain + frameCount(plain, frameSize)*FrameOverhead, nil
}

// PlainSize is the inverse of SealedSize. A length that no chunk has is ErrTruncated, one that is too long ErrSize.
// It trusts nothing: whether the bytes are a chunk of that length is known when its last frame has been opened.
func PlainSize(sealed int64, frameSize int) (int64, error) {
	if err := CheckFrameSize(frameSize); err != nil {
		return 0, err
	}
	longest := HeaderSize + MaxChunkSize + frameCount(MaxChunkSize, frameSize)*FrameOverhead
	if sealed > longest {
		return 0, fmt.Errorf("%w: sealed chunk of %d bytes", ErrSize, sealed)
	}
	if sealed < HeaderSize+FrameOverhead {
		return 0, fmt.Errorf("%w: sealed chunk of %d bytes", ErrTruncated, sealed)
	}
	body := sealed - HeaderSize
	stride := int64(frameSize + FrameOverhead)
	last := body % stride // 0: the last frame is full
	if body > stride && last > 0 && last <= FrameOverhead {
		return 0, fmt.Errorf("%w: %d bytes after the last whole frame", ErrTruncated, last)
	}
	frames := (body + stride - 1) / stride
	return body - frames*FrameOverhead, nil
}

// frameCount returns how many frames hold plain bytes; an empty chunk has one, so that its end is sealed too.
func frameCount(plain int64, frameSize int) int64 {
	return max(1, (plain+int64(frameSize)-1)/int64(frameSize))
}

// frameOffset returns where in the chunk the frame of an index begins.
func frameOffset(index int64, frameSize int) int64 {
	return HeaderSize + index*int64(frameSize+FrameOverhead)
}
