package bench

import (
	"errors"
	"testing"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want Size
	}{
		{"0", 0}, {"17", 17}, {"17B", 17}, {"4KiB", 4096}, {"10MiB", 10 << 20}, {"3GiB", 3 << 30},
		{"2KB", 2000}, {"2MB", 2_000_000}, {"2GB", 2_000_000_000},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got, err := ParseSize(test.text)
			if err != nil || got != test.want {
				t.Errorf("got %d, %v, want %d", got, err, test.want)
			}
		})
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "4K", "4kib", "9999999999GiB", "99999999999999999999", "4 KiB", "4KiBB"} {
		t.Run("refused "+text, func(t *testing.T) {
			t.Parallel()
			if got, err := ParseSize(text); !errors.Is(err, ErrSize) {
				t.Errorf("got %d, %v, want ErrSize", got, err)
			}
		})
	}
}

func TestSizeString(t *testing.T) {
	t.Parallel()
	for text, size := range map[string]Size{
		"0B": 0, "17B": 17, "4KiB": 4096, "4097B": 4097, "10MiB": 10 << 20, "3GiB": 3 << 30, "1025KiB": 1025 << 10,
	} {
		if got := size.String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
		var back Size
		if err := back.UnmarshalText([]byte(text)); err != nil || back != size {
			t.Errorf("%s reads back as %d, %v", text, back, err)
		}
	}
}
