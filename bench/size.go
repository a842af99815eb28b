package bench

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. Its text form is a number with an optional unit:
// B, KiB, MiB, GiB (powers of 1024) or KB, MB, GB (powers of 1000).
type Size int64

// The binary units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// ErrSize means that a text is not a size.
var ErrSize = errors.New("not a size (a number with B, KiB, MiB, GiB, KB, MB or GB)")

// ParseSize reads the text form of a size.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "KMGiB")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("%q: %w", text, ErrSize)
	}
	unit, err := unitBytes(text[len(digits):])
	if err != nil {
		return 0, fmt.Errorf("%q: %w", text, err)
	}
	if number > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is too large: %w", text, ErrSize)
	}
	return Size(number) * unit, nil
}

func unitBytes(unit string) (Size, error) {
	switch unit {
	case "", "B":
		return 1, nil
	case "KiB":
		return KiB, nil
	case "MiB":
		return MiB, nil
	case "GiB":
		return GiB, nil
	case "KB":
		return 1e3, nil
	case "MB":
		return 1e6, nil
	case "GB":
		return 1e9, nil
	default:
		return 0, ErrSize
	}
}

// String gives the size in the largest binary unit that divides it.
func (s Size) String() string {
	switch {
	case s != 0 && s%GiB == 0:
		return fmt.Sprintf("%dGiB", s/GiB)
	case s != 0 && s%MiB == 0:
		return fmt.Sprintf("%dMiB", s/MiB)
	case s != 0 && s%KiB == 0:
		return fmt.Sprintf("%dKiB", s/KiB)
	default:
		return fmt.Sprintf("%dB", int64(s))
	}
}

// UnmarshalText makes Size usable as a flag.
func (s *Size) UnmarshalText(text []byte) error {
	parsed, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}
