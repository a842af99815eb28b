package storekey

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"

	"coffer/cipher"
	"coffer/internal/strictcbor"
)

// Limits and constants of format 1 (FORMAT.md).
const (
	fileMagic    = "CFSK"
	fileVersion  = 1
	headerSize   = len(fileMagic) + 1
	maxFileSize  = 64 << 10
	maxSlots     = 16
	maxLabelSize = 64
	wrappedSize  = cipher.KeySize + cipher.BoxOverhead
	labelSlot    = "coffer/v1/storekey/slot"
)

var errBody = errors.New("malformed content")

// body is the file in CBOR.
type body struct {
	Store       []byte     `cbor:"1,keyasint"`
	Fingerprint []byte     `cbor:"2,keyasint"`
	Created     int64      `cbor:"3,keyasint"`
	Slots       []slotBody `cbor:"4,keyasint"`
	Next        uint32     `cbor:"5,keyasint"`
}

type slotBody struct {
	ID        uint32 `cbor:"1,keyasint"`
	Kind      uint8  `cbor:"2,keyasint"`
	Label     string `cbor:"3,keyasint"`
	Changed   int64  `cbor:"4,keyasint"`
	Salt      []byte `cbor:"5,keyasint"`
	MemoryKiB uint32 `cbor:"6,keyasint,omitempty"`
	Passes    uint32 `cbor:"7,keyasint,omitempty"`
	Lanes     uint8  `cbor:"8,keyasint,omitempty"`
	Wrapped   []byte `cbor:"9,keyasint,omitempty"`
}

func (s slotBody) cost() Cost { return Cost{MemoryKiB: s.MemoryKiB, Passes: s.Passes, Lanes: s.Lanes} }

// codec encodes and decodes the file. It is immutable.
type codec struct{ strictcbor.Codec }

func newCodec() (codec, error) {
	c, err := strictcbor.New(strictcbor.Limits{Nested: 4, Array: maxSlots, Map: 16})
	return codec{c}, err
}

// encode gives the bytes of the file.
func (c codec) encode(b body) ([]byte, error) {
	encoded, err := c.Encode(b)
	if err != nil {
		return nil, err
	}
	data := append([]byte(fileMagic), fileVersion)
	data = append(data, encoded...)
	sum := sha256.Sum256(data)
	return append(data, sum[:]...), nil
}

// decode is the inverse of encode. The error wraps ErrDamaged or ErrNewer.
func (c codec) decode(data []byte) (body, error) {
	if len(data) < headerSize+sha256.Size || string(data[:len(fileMagic)]) != fileMagic {
		return body{}, fmt.Errorf("%w: not a store key file", ErrDamaged)
	}
	if v := data[len(fileMagic)]; v != fileVersion {
		if v > fileVersion {
			return body{}, fmt.Errorf("%w: version %d, this Coffer knows %d", ErrNewer, v, fileVersion)
		}
		return body{}, fmt.Errorf("%w: version %d", ErrDamaged, v)
	}
	end := len(data) - sha256.Size
	if sum := sha256.Sum256(data[:end]); !bytes.Equal(sum[:], data[end:]) {
		return body{}, fmt.Errorf("%w: its digest differs", ErrDamaged)
	}
	b, err := c.decodeBody(data[headerSize:end])
	if err != nil {
		return body{}, fmt.Errorf("%w: %w: %w", ErrDamaged, errBody, err)
	}
	return b, nil
}

func (c codec) decodeBody(data []byte) (body, error) {
	var b body
	if err := c.DecodeExact(data, &b); err != nil {
		return body{}, err
	}
	return b, b.check()
}

// check holds the body to what FORMAT.md says beyond the types.
func (b body) check() error {
	switch {
	case len(b.Store) != cipher.IDSize:
		return fmt.Errorf("store id of %d bytes", len(b.Store))
	case len(b.Fingerprint) != cipher.IDSize:
		return fmt.Errorf("fingerprint of %d bytes", len(b.Fingerprint))
	case len(b.Slots) == 0 || len(b.Slots) > maxSlots:
		return fmt.Errorf("%d slots", len(b.Slots))
	case b.Next == math.MaxUint32:
		return errors.New("slot ids are used up")
	}
	last := uint32(0)
	for _, s := range b.Slots {
		if s.ID <= last || s.ID >= b.Next {
			return fmt.Errorf("slot %d after %d, next is %d", s.ID, last, b.Next)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("slot %d: %w", s.ID, err)
		}
		last = s.ID
	}
	return nil
}

func (s slotBody) check() error {
	switch kind := Kind(s.Kind); {
	case !kind.valid():
		return fmt.Errorf("unknown %v", kind)
	case len(s.Salt) != slotSaltSize:
		return fmt.Errorf("salt of %d bytes", len(s.Salt))
	case len(s.Wrapped) != wrappedSize:
		return fmt.Errorf("wrapped key of %d bytes", len(s.Wrapped))
	case kind.stretched():
		if err := s.cost().Validate(); err != nil {
			return err
		}
	case s.cost() != Cost{}:
		return errors.New("argon2id parameters without a passphrase")
	}
	return checkLabel(s.Label)
}

// ErrLabel says that a label cannot be kept.
var ErrLabel = errors.New("unusable label")

func checkLabel(label string) error {
	if len(label) > maxLabelSize || !utf8.ValidString(label) {
		return fmt.Errorf("%w: must be UTF-8 of at most %d bytes", ErrLabel, maxLabelSize)
	}
	for _, r := range label {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: it holds a control character", ErrLabel)
		}
	}
	return nil
}

// additional gives the associated data of a slot's wrapped key.
func (c codec) additional(b body, s slotBody) ([]byte, error) {
	s.Wrapped = nil
	encoded, err := c.Encode(s)
	if err != nil {
		return nil, err
	}
	ad := append([]byte(labelSlot), fileVersion)
	ad = append(ad, b.Store...)
	ad = append(ad, b.Fingerprint...)
	return append(ad, encoded...), nil
}

// wrap puts key into the slot under its secret.
func (c codec) wrap(b body, s slotBody, secret Secret, key *cipher.StoreKey) (slotBody, error) {
	slotKey, err := secret.slotKey(s.Salt, s.cost())
	if err != nil {
		return slotBody{}, err
	}
	defer slotKey.Wipe()
	ad, err := c.additional(b, s)
	if err != nil {
		return slotBody{}, err
	}
	s.Wrapped = cipher.NewBox(slotKey).Seal(nil, key.Expose(), ad)
	return s, nil
}

// unwrap takes the key out of the slot.
func (c codec) unwrap(b body, s slotBody, secret Secret) (*cipher.StoreKey, error) {
	slotKey, err := secret.slotKey(s.Salt, s.cost())
	if err != nil {
		return nil, err
	}
	defer slotKey.Wipe()
	ad, err := c.additional(b, s)
	if err != nil {
		return nil, err
	}
	raw, err := cipher.NewBox(slotKey).Open(nil, s.Wrapped, ad)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	return cipher.StoreKeyFromBytes(raw)
}
