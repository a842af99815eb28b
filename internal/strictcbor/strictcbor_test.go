package strictcbor_test

import (
	"errors"
	"testing"

	"coffer/internal/strictcbor"
)

type sample struct {
	Number uint8          `cbor:"1,keyasint"`
	Text   string         `cbor:"2,keyasint,omitempty"`
	List   []uint8        `cbor:"3,keyasint,omitempty"`
	Map    map[string]int `cbor:"4,keyasint,omitempty"`
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	c, err := strictcbor.New(strictcbor.Limits{Nested: 4, Array: 16, Map: 16})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"nothing":          {},
		"torn":             {0xa1, 0x01},
		"trailing byte":    {0xa1, 0x01, 0x01, 0x00},
		"unknown field":    {0xa1, 0x09, 0x01},
		"field twice":      {0xa2, 0x01, 0x01, 0x01, 0x01},
		"indefinite map":   {0xbf, 0x01, 0x01, 0xff},
		"tag":              {0xa1, 0x01, 0xc1, 0x01},
		"array too long":   {0xa1, 0x03, 0x98, 0x20},
		"text not UTF-8":   {0xa1, 0x02, 0x61, 0xff},
		"number too large": {0xa1, 0x01, 0x19, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := c.Decode(data, new(sample)); err == nil {
				t.Error("decoded")
			}
		})
	}
}

func TestDecodeExact(t *testing.T) {
	t.Parallel()
	c, err := strictcbor.New(strictcbor.Limits{Nested: 4, Array: 16, Map: 16})
	if err != nil {
		t.Fatal(err)
	}
	good, err := c.Encode(sample{Number: 1, Text: "a", Map: map[string]int{"b": 1, "a": 2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DecodeExact(good, new(sample)); err != nil {
		t.Errorf("what was encoded: %v", err)
	}
	long := []byte{0xa1, 0x01, 0x18, 0x01} // 1 in two bytes
	if err := c.Decode(long, new(sample)); err != nil {
		t.Errorf("a longer form: %v", err)
	}
	if err := c.DecodeExact(long, new(sample)); !errors.Is(err, strictcbor.ErrNotDeterministic) {
		t.Errorf("a longer form, exactly: %v", err)
	}
}

func TestAnyBytes(t *testing.T) {
	t.Parallel()
	c, err := strictcbor.New(strictcbor.Limits{Nested: 4, Array: 16, Map: 16, AnyBytes: true})
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	if err := c.Decode([]byte{0xa1, 0x02, 0x61, 0xff}, &s); err != nil || s.Text != "\xff" {
		t.Errorf("%q, %v", s.Text, err)
	}
}
