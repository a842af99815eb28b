package local

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/internal/strictcbor"
	"coffer/kms"
)

// Limits of format 1 (FORMAT.md).
const (
	maxFileSize = 4 << 20
	maxKeys     = 10_000
	maxVersions = 4096
)

// errBody says that an authentic body is not one that this package writes.
var errBody = errors.New("malformed content")

// instanceBody is the body of the keyring's own file.
type instanceBody struct {
	Instance []byte   `cbor:"1,keyasint"`
	Created  int64    `cbor:"2,keyasint"`
	KeyIDs   []string `cbor:"3,keyasint"`
}

// keyBody is the body of a key file.
type keyBody struct {
	ID          string            `cbor:"1,keyasint"`
	Instance    []byte            `cbor:"2,keyasint"`
	State       uint8             `cbor:"3,keyasint"`
	Created     int64             `cbor:"4,keyasint"`
	Versions    []versionBody     `cbor:"5,keyasint"`
	DeleteAfter *int64            `cbor:"6,keyasint,omitempty"`
	Origin      string            `cbor:"7,keyasint,omitempty"`
	Description string            `cbor:"8,keyasint,omitempty"`
	Tags        map[string]string `cbor:"9,keyasint,omitempty"`
	MaxAge      uint32            `cbor:"10,keyasint,omitempty"`
}

type versionBody struct {
	Number  uint32 `cbor:"1,keyasint"`
	Created int64  `cbor:"2,keyasint"`
	Master  []byte `cbor:"3,keyasint"`
}

// tombstoneBody is the body of what takes the place of a destroyed key's file.
type tombstoneBody struct {
	ID        string `cbor:"1,keyasint"`
	Instance  []byte `cbor:"2,keyasint"`
	Destroyed int64  `cbor:"3,keyasint"`
}

// wipe forgets the key material of b.
func (b *keyBody) wipe() {
	for _, v := range b.Versions {
		clear(v.Master)
	}
}

// codec encodes and decodes bodies. It is immutable.
type codec struct{ strictcbor.Codec }

func newCodec() (codec, error) {
	c, err := strictcbor.New(strictcbor.Limits{Nested: 4, Array: maxKeys, Map: 256})
	return codec{c}, err
}

// decode reads exactly the bytes that Encode would write for the same value.
func (c codec) decode(data []byte, into any) error {
	if err := c.DecodeExact(data, into); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// instanceRecord is the keyring's own file in memory.
type instanceRecord struct {
	instance cipher.InstanceID
	created  time.Time
	keyIDs   []string // ascending
}

// with returns r with keyID in its list.
func (r instanceRecord) with(keyID string) instanceRecord {
	i, found := slices.BinarySearch(r.keyIDs, keyID)
	if !found {
		r.keyIDs = slices.Insert(slices.Clone(r.keyIDs), i, keyID)
	}
	return r
}

// without returns r with keyID not in its list.
func (r instanceRecord) without(keyID string) instanceRecord {
	if i, found := slices.BinarySearch(r.keyIDs, keyID); found {
		r.keyIDs = slices.Delete(slices.Clone(r.keyIDs), i, i+1)
	}
	return r
}

func (c codec) encodeInstance(r instanceRecord) ([]byte, error) {
	return c.Encode(instanceBody{
		Instance: r.instance[:],
		Created:  r.created.UnixNano(),
		KeyIDs:   append([]string{}, r.keyIDs...), // an array, never null
	})
}

func (c codec) decodeInstance(data []byte) (instanceRecord, error) {
	var b instanceBody
	if err := c.decode(data, &b); err != nil {
		return instanceRecord{}, err
	}
	r := instanceRecord{created: time.Unix(0, b.Created), keyIDs: b.KeyIDs}
	if len(b.Instance) != len(r.instance) {
		return instanceRecord{}, fmt.Errorf("%w: instance id of %d bytes", errBody, len(b.Instance))
	}
	copy(r.instance[:], b.Instance)
	if r.instance.IsZero() || b.KeyIDs == nil {
		return instanceRecord{}, fmt.Errorf("%w: no instance id or no list of keys", errBody)
	}
	for i, id := range b.KeyIDs {
		if err := kms.CheckKeyID(id); err != nil {
			return instanceRecord{}, fmt.Errorf("%w: %w", errBody, err)
		}
		if i > 0 && b.KeyIDs[i-1] >= id {
			return instanceRecord{}, fmt.Errorf("%w: key ids are not ascending", errBody)
		}
	}
	return r, nil
}

// keyRecord is a key file in memory. It is immutable once the keyring shows it,
// apart from wipe.
type keyRecord struct {
	id          string
	instance    cipher.InstanceID
	state       kms.State
	created     time.Time
	deleteAfter time.Time // zero unless state is StatePendingDeletion
	origin      string
	description string
	tags        map[string]string
	maxAge      uint32          // seconds; zero means no limit
	versions    []masterVersion // ascending, never empty
}

type masterVersion struct {
	number  uint32
	created time.Time
	master  *cipher.MasterKey
}

func (r *keyRecord) newest() masterVersion { return r.versions[len(r.versions)-1] }

// version returns the version of this number.
func (r *keyRecord) version(number uint32) (masterVersion, bool) {
	i, ok := slices.BinarySearchFunc(r.versions, number, func(v masterVersion, n uint32) int {
		return cmp.Compare(v.number, n)
	})
	if !ok {
		return masterVersion{}, false
	}
	return r.versions[i], true
}

func (r *keyRecord) wipe() {
	for _, v := range r.versions {
		v.master.Wipe()
	}
}

func (c codec) encodeKey(r *keyRecord) ([]byte, error) {
	b := keyBody{
		ID: r.id, Instance: r.instance[:], State: uint8(r.state), Created: r.created.UnixNano(),
		Origin: r.origin, Description: r.description, Tags: r.tags, MaxAge: r.maxAge,
	}
	defer b.wipe()
	if !r.deleteAfter.IsZero() {
		ns := r.deleteAfter.UnixNano()
		b.DeleteAfter = &ns
	}
	for _, v := range r.versions {
		b.Versions = append(b.Versions, versionBody{
			Number: v.number, Created: v.created.UnixNano(), Master: slices.Clone(v.master.Expose()),
		})
	}
	return c.Encode(&b)
}

func (c codec) decodeKey(data []byte) (*keyRecord, error) {
	var b keyBody
	defer b.wipe()
	if err := c.decode(data, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	r := &keyRecord{
		id: b.ID, state: kms.State(b.State), created: time.Unix(0, b.Created),
		origin: b.Origin, description: b.Description, tags: b.Tags, maxAge: b.MaxAge,
	}
	copy(r.instance[:], b.Instance)
	if b.DeleteAfter != nil {
		r.deleteAfter = time.Unix(0, *b.DeleteAfter)
	}
	for _, v := range b.Versions {
		master, err := cipher.MasterKeyFromBytes(v.Master)
		if err != nil {
			r.wipe()
			return nil, fmt.Errorf("%w: %w", errBody, err)
		}
		r.versions = append(r.versions, masterVersion{v.Number, time.Unix(0, v.Created), master})
	}
	return r, nil
}

// check holds the body to what FORMAT.md says beyond the types.
func (b *keyBody) check() error {
	if err := kms.CheckKeyID(b.ID); err != nil {
		return err
	}
	state := kms.State(b.State)
	switch {
	case len(b.Instance) != len(cipher.InstanceID{}):
		return fmt.Errorf("instance id of %d bytes", len(b.Instance))
	case !state.Valid():
		return fmt.Errorf("unknown %v", state)
	case (b.DeleteAfter != nil) != (state == kms.StatePendingDeletion):
		return fmt.Errorf("end of the waiting time in %v", state)
	case len(b.Versions) == 0 || len(b.Versions) > maxVersions:
		return fmt.Errorf("%d versions", len(b.Versions))
	}
	last := uint32(0)
	for _, v := range b.Versions {
		if v.Number <= last || v.Number == math.MaxUint32 {
			return fmt.Errorf("version %d after %d", v.Number, last)
		}
		if len(v.Master) != cipher.KeySize {
			return fmt.Errorf("key of %d bytes in version %d", len(v.Master), v.Number)
		}
		last = v.Number
	}
	return nil
}
