package object

import (
	"context"
	"errors"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

// floorRecord is the least version of a MasterKey that new SealedKeys may need. Writers read it for update, so one that
// began before it was recorded meets it when it commits.
type floorRecord struct {
	Format  uint8  `cbor:"1,keyasint"`
	Version uint32 `cbor:"2,keyasint"`
	Asked   int64  `cbor:"3,keyasint"` // when
}

func (r *floorRecord) format() uint8 { return r.Format }

// readFloor is 0 where there is none.
func readFloor(get func([]byte) ([]byte, error), key masterKey) (uint32, error) {
	r, err := findFloor(get, key)
	if err != nil || r == nil {
		return 0, err
	}
	return r.Version, nil
}

// findFloor reads a floor, nil where there is none.
func findFloor(get func([]byte) ([]byte, error), key masterKey) (*floorRecord, error) {
	value, err := get(floorKey(key))
	if errors.Is(err, metastore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r floorRecord
	return &r, decode(value, &r)
}

// belowFloorError says that a commit would have depended on a key version that is being retired. Nothing was applied.
type belowFloorError struct {
	under masterVersion
	floor uint32
}

func (e *belowFloorError) Error() string {
	return fmt.Sprintf("a KEK under version %d of key %q, which is being retired: at least %d", e.under.version, e.under.keyID, e.floor)
}

// maxLifts is how often a commit that meets a floor is tried again. Once is enough unless floors rise meanwhile.
const maxLifts = 3

// aboveFloors runs commit, which writes keys as the SealedKeys of a record or upload. Where it meets a floor, their KEKs
// are rewrapped and commit runs again. keys changes in place.
func (s *Store) aboveFloors(ctx context.Context, keys [][]byte, commit func() error) error {
	for attempt := 0; ; attempt++ {
		err := commit()
		below, is := errors.AsType[*belowFloorError](err)
		if !is {
			return err
		}
		if attempt == maxLifts {
			return errKindf(KindKeyDisabled, "%w", below)
		}
		if err := s.lift(ctx, keys); err != nil {
			return err
		}
	}
}

// lift wraps the KEKs of objects' own in keys by the newest versions of their MasterKeys.
func (s *Store) lift(ctx context.Context, keys [][]byte) error {
	var items []kms.RewrapItem
	var slots []int
	var sealed []cipher.SealedKey
	for slot, key := range keys {
		var k cipher.SealedKey
		if err := k.UnmarshalBinary(key); err != nil {
			return errKindf(KindCorrupt, "sealed key: %w", err)
		}
		if k.Mode == cipher.ModeSSEC || k.Generation != 0 {
			continue
		}
		w, err := wrappedOf(&k)
		if err != nil {
			return err
		}
		items, slots, sealed = append(items, kms.RewrapItem{Wrapped: w, Context: k.Context}), append(slots, slot), append(sealed, k)
	}
	for i, result := range s.opts.Keys.Rewrap(ctx, items) {
		if result.Err != nil {
			return result.Err
		}
		setWrapped(&sealed[i], result.Wrapped)
		lifted, err := sealed[i].MarshalBinary()
		if err != nil {
			return err
		}
		keys[slots[i]] = lifted
	}
	return nil
}
