package object

import (
	"context"
	"time"

	"coffer/kms"
	"coffer/metastore"
)

// settlePatience is how long a question waits for those who are about to hold a KEK. Each of them has one call of a
// backend to make, which is bounded itself.
const settlePatience = 5 * time.Second

// Dependents counts what needs a key, a version of one, or a backend.
type Dependents struct {
	KEKs    int64 // of buckets, of objects and of uploads
	Objects int64
	Uploads int64 // in progress
	Open    int64 // streams, handles and writes that were begun under it and have not ended
}

// None reports whether nothing needs it.
func (d Dependents) None() bool { return d == Dependents{} }

// Dependents counts what needs a backend, or a key of it where one is named, in any version. It finds nothing only when
// nothing can come any more of what began before; what begins later is for the caller to keep away.
func (s *Store) Dependents(ctx context.Context, of kms.KeyRef) (Dependents, error) {
	d, err := s.dependents(ctx, func(m masterVersion) bool {
		return m.instance == of.Instance && (of.KeyID == "" || m.keyID == of.KeyID)
	})
	return d, s.wrap("count dependents", "", "", err)
}

func (s *Store) dependents(ctx context.Context, of func(masterVersion) bool) (Dependents, error) {
	d, err := s.recorded(ctx, of)
	if err != nil || !d.None() {
		d.Open = int64(s.keys.uses.count(of))
		return d, err
	}
	// Nothing is recorded, so who enters from now on finds nothing; who has entered may still hold something, or commit it.
	settling, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	unsettled := s.keys.uses.settle(settling) != nil
	held := int64(s.keys.uses.count(of))
	if d, err = s.recorded(ctx, of); err != nil {
		return d, err
	}
	if d.Open = held; unsettled && held == 0 {
		d.Open = 1 // somebody who may
	}
	return d, ctx.Err()
}

// recorded counts what the store holds.
func (s *Store) recorded(ctx context.Context, of func(masterVersion) bool) (d Dependents, err error) {
	entries, err := s.census(ctx, nil)
	for _, e := range entries {
		if of(masterVersion{e.Instance, e.KeyID, e.Version}) {
			d.KEKs, d.Objects, d.Uploads = d.KEKs+e.KEKs, d.Objects+e.Objects, d.Uploads+e.Uploads
		}
	}
	return d, err
}

// Retirement is the state of giving up the older versions of a key.
type Retirement struct {
	Key       kms.KeyRef // Version is the floor: those below it are being given up
	Asked     time.Time
	Needs     Dependents // what still needs a version below the floor
	Retirable bool       // nothing does, and nothing ever will
}

// Retire asks for the retirement of a version of a key, and of all before it. From now on no write ends under them: one
// that began there is rewrapped before it is committed. It must not be the newest version. Rewrap then moves what is
// recorded, and Retirement tells when nothing needs them any more.
func (s *Store) Retire(ctx context.Context, version kms.KeyRef) (Retirement, error) {
	const op = "retire key version"
	newest, err := s.opts.Keys.NewestVersion(ctx, version.Instance, version.KeyID)
	if err == nil && (version.Version == 0 || version.Version >= newest) {
		err = errKindf(KindInvalidArgument, "version %d of key %q, whose newest is %d; rotate the key first", version.Version, version.KeyID, newest)
	}
	if err == nil {
		err = s.space.admitChange(ctx)
	}
	key := masterKey{version.Instance, version.KeyID}
	if err == nil {
		err = s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
			was, err := readFloor(tx.GetForUpdate, key)
			if err != nil || was > version.Version {
				return err
			}
			r := floorRecord{Format: recordFormat, Version: version.Version + 1, Asked: s.opts.Now().UnixNano()}
			return tx.Put(floorKey(key), encode(&r))
		})
	}
	if err != nil {
		return Retirement{}, s.wrap(op, "", "", err)
	}
	return s.Retirement(ctx, version)
}

// Retirement tells whether the versions of a key can be given up whose retirement was asked for; KindNoSuchJob where it
// was not. An answer that they can holds for as long as the floor.
func (s *Store) Retirement(ctx context.Context, key kms.KeyRef) (Retirement, error) {
	var floor *floorRecord
	owner := masterKey{key.Instance, key.KeyID}
	err := s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		floor, err = findFloor(v.Get, owner)
		return err
	})
	if err == nil && floor == nil {
		err = errKindf(KindNoSuchJob, "nobody asked for the retirement of a version of key %q", key.KeyID)
	}
	if err != nil {
		return Retirement{}, s.wrap("retirement", "", "", err)
	}
	r, err := s.retirement(ctx, owner, floor)
	return r, s.wrap("retirement", "", "", err)
}

func (s *Store) retirement(ctx context.Context, key masterKey, floor *floorRecord) (Retirement, error) {
	needs, err := s.dependents(ctx, func(m masterVersion) bool { return m.key() == key && m.version < floor.Version })
	return Retirement{
		Key:   kms.KeyRef{Instance: key.instance, KeyID: key.keyID, Version: floor.Version},
		Asked: time.Unix(0, floor.Asked).UTC(), Needs: needs, Retirable: err == nil && needs.None(),
	}, err
}

// Retirements lists those that were asked for.
func (s *Store) Retirements(ctx context.Context) ([]Retirement, error) {
	var all []Retirement
	var keys []masterKey
	var floors []*floorRecord
	err := s.scanPrefix(ctx, []byte{tagFloor}, func(kv metastore.KV) error {
		var r floorRecord
		key, err := parseFloorKey(kv.Key)
		if err == nil {
			err = decode(kv.Value, &r)
		}
		keys, floors = append(keys, key), append(floors, &r)
		return err
	})
	for i, key := range keys {
		if err != nil {
			break
		}
		var r Retirement
		r, err = s.retirement(ctx, key, floors[i])
		all = append(all, r)
	}
	return all, s.wrap("list retirements", "", "", err)
}

// CancelRetirement lets writes end under the older versions of a key again. None being asked for is no error.
func (s *Store) CancelRetirement(ctx context.Context, key kms.KeyRef) error {
	return s.wrap("cancel retirement", "", "", s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		return tx.Delete(floorKey(masterKey{key.Instance, key.KeyID}))
	}))
}
