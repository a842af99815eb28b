package strictcbor

import (
	"bytes"
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// ErrNotDeterministic says that bytes are not those that encoding the value again gives.
var ErrNotDeterministic = errors.New("not in deterministic encoding")

// Limits bound what is decoded, before it is allocated.
type Limits struct {
	Nested   int  // levels of arrays and maps
	Array    int  // elements of an array
	Map      int  // pairs of a map
	AnyBytes bool // text may be other than UTF-8
}

// Codec encodes and decodes.
type Codec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// New returns a Codec; it fails for limits that the library does not take.
func New(l Limits) (Codec, error) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return Codec{}, err
	}
	opts := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   l.Nested,
		MaxArrayElements:  l.Array,
		MaxMapPairs:       l.Map,
	}
	if l.AnyBytes {
		opts.UTF8 = cbor.UTF8DecodeInvalid
	}
	dec, err := opts.DecMode()
	return Codec{enc: enc, dec: dec}, err
}

// Encode returns the one encoding of v.
func (c Codec) Encode(v any) ([]byte, error) { return c.enc.Marshal(v) }

// Decode decodes all of data into v.
func (c Codec) Decode(data []byte, v any) error { return c.dec.Unmarshal(data, v) }

// DecodeExact is Decode for bytes that must be those which Encode writes for the same value.
func (c Codec) DecodeExact(data []byte, v any) error {
	if err := c.dec.Unmarshal(data, v); err != nil {
		return err
	}
	again, err := c.enc.Marshal(v)
	if err != nil {
		return err
	}
	defer clear(again) // it may hold key material
	if !bytes.Equal(again, data) {
		return ErrNotDeterministic
	}
	return nil
}
