package cipher

import (
	"errors"
	"math"
	"testing"
)

func TestSealedSize(t *testing.T) {
	t.Parallel()
	const k, m = 1 << 10, 1 << 20
	tests := []struct {
		name      string
		plain     int64
		frameSize int
		want      int64
		err       error
	}{
		{"empty", 0, 64 * k, 32 + 16, nil},
		{"one byte", 1, 64 * k, 32 + 1 + 16, nil},
		{"a frame less one", 64*k - 1, 64 * k, 32 + 64*k - 1 + 16, nil},
		{"a frame", 64 * k, 64 * k, 32 + 64*k + 16, nil},
		{"a frame and one", 64*k + 1, 64 * k, 32 + 64*k + 1 + 2*16, nil},
		{"two frames", 128 * k, 64 * k, 32 + 128*k + 2*16, nil},
		{"64 MiB", 64 * m, 64 * k, 32 + 64*m + 1024*16, nil},
		{"smallest frames", 3*4*k + 5, 4 * k, 32 + 3*4*k + 5 + 4*16, nil},
		{"largest frames", 3 * m, m, 32 + 3*m + 3*16, nil},
		{"largest chunk", MaxChunkSize, 64 * k, 32 + 1<<40 + 1<<24*16, nil},
		{"above the largest", MaxChunkSize + 1, 64 * k, 0, ErrSize},
		{"far above the largest", math.MaxInt64, 64 * k, 0, ErrSize},
		{"negative", -1, 64 * k, 0, ErrSize},
		{"most negative", math.MinInt64, 64 * k, 0, ErrSize},
		{"frame size 0", 1, 0, 0, ErrSize},
		{"frame size negative", 1, -64 * k, 0, ErrSize},
		{"frame size of the most negative int", 1, math.MinInt, 0, ErrSize},
		{"frame size too small", 1, 2 * k, 0, ErrSize},
		{"frame size too large", 1, 2 * m, 0, ErrSize},
		{"frame size no power of two", 1, 65 * k, 0, ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := SealedSize(tt.plain, tt.frameSize)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("SealedSize: %d, %v; want %d, %v", got, err, tt.want, tt.err)
			}
			if tt.err != nil {
				return
			}
			if back, err := PlainSize(got, tt.frameSize); back != tt.plain || err != nil {
				t.Errorf("PlainSize: %d, %v; want %d", back, err, tt.plain)
			}
		})
	}
}

func TestPlainSizeRefuses(t *testing.T) {
	t.Parallel()
	const stride = MinFrameSize + FrameOverhead
	longest := must[int64](t)(SealedSize(MaxChunkSize, MinFrameSize))
	tests := []struct {
		name   string
		sealed int64
		want   error
	}{
		{"nothing", 0, ErrTruncated},
		{"negative", -1, ErrTruncated},
		{"most negative", math.MinInt64, ErrTruncated},
		{"part of a header", HeaderSize - 1, ErrTruncated},
		{"a header", HeaderSize, ErrTruncated},
		{"part of a tag", HeaderSize + FrameOverhead - 1, ErrTruncated},
		{"a byte behind a frame", HeaderSize + stride + 1, ErrTruncated},
		{"a tag behind a frame", HeaderSize + stride + FrameOverhead, ErrTruncated},
		{"a tag behind two frames", HeaderSize + 2*stride + FrameOverhead, ErrTruncated},
		{"longest and one", longest + 1, ErrSize},
		{"largest", math.MaxInt64, ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := PlainSize(tt.sealed, MinFrameSize); got != 0 || !errors.Is(err, tt.want) {
				t.Errorf("%d, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := PlainSize(1000, 1000); !errors.Is(err, ErrSize) {
		t.Errorf("frame size 1000: %v", err)
	}
}

// TestSizesAreABijection: every length is either that of exactly one chunk, or refused.
func TestSizesAreABijection(t *testing.T) {
	t.Parallel()
	next := int64(0)
	for sealed := range int64(HeaderSize + 4*(MinFrameSize+FrameOverhead)) {
		plain, err := PlainSize(sealed, MinFrameSize)
		if err != nil {
			continue
		}
		if plain != next {
			t.Fatalf("%d sealed bytes: %d, want %d", sealed, plain, next)
		}
		if back, err := SealedSize(plain, MinFrameSize); back != sealed || err != nil {
			t.Fatalf("%d bytes: sealed %d, %v; want %d", plain, back, err, sealed)
		}
		next++
	}
	if next != 4*MinFrameSize {
		t.Errorf("%d lengths", next)
	}
}

func TestFrameOffset(t *testing.T) {
	t.Parallel()
	for index, want := range []int64{32, 32 + 65552, 32 + 2*65552} {
		if got := frameOffset(int64(index), DefaultFrameSize); got != want {
			t.Errorf("frame %d: %d, want %d", index, got, want)
		}
	}
}
