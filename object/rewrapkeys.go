package object

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

// movesAtOnce bounds the calls that move KEKs between backends, which know no batches of that.
const movesAtOnce = 8

// rewrapCandidate is an object, or an upload in progress, whose KEKs are to be rewrapped.
type rewrapCandidate struct {
	key    string
	upload cipher.UploadID // zero: an object
	object cipher.ObjectID
	keys   [][]byte // SealedKeys as they were read
	mode   cipher.Mode
	keyID  string // that clients are told of
	label  string // what they are to be told instead, where it changes
	slots  []rewrapSlot
	err    error // why it cannot be rewrapped
}

// rewrapSlot is a SealedKey whose own KEK is to be wrapped anew.
type rewrapSlot struct {
	slot   int
	sealed cipher.SealedKey
	was    kms.Wrapped
	to     kms.KeyRef // zero: by the same key
	fresh  []byte     // the SealedKey, rewrapped
}

// sharedKEK is what became of a generation of the bucket's KEK.
type sharedKEK struct {
	outdated bool
	keyID    string // of the key that wraps it now
	err      error
}

// consider takes an object in whose KEK is not where it is to be. The bucket's KEK is rewrapped at once, an object's own
// with others.
func (w *rewrapping) consider(ctx context.Context, key string, r *record) error {
	if r.Encryption.Mode == cipher.ModeSSEC || len(r.Keys) == 0 {
		return nil
	}
	w.report.Matched++
	c := rewrapCandidate{key: key, object: r.Object, keys: r.Keys, mode: r.Encryption.mode(), keyID: r.Encryption.KeyID}
	sharedOutdated, err := w.look(ctx, &c)
	if err != nil || c.err != nil {
		return err
	}
	pending := len(c.slots) > 0 || c.label != ""
	if sharedOutdated || pending {
		w.report.Outdated++
	}
	if sharedOutdated && !pending && !w.req.DryRun {
		w.report.Rewrapped++
	}
	return nil
}

// look finds what is to be done for a candidate and adds it to what is pending. It tells whether a KEK of the bucket that
// it needs was not where it is to be.
func (w *rewrapping) look(ctx context.Context, c *rewrapCandidate) (sharedOutdated bool, err error) {
	for slot, sealed := range c.keys {
		var s cipher.SealedKey
		if err := s.UnmarshalBinary(sealed); err != nil {
			return false, errKindf(KindCorrupt, "%q: %w", c.key, err)
		}
		keyID := ""
		if s.Generation != 0 {
			shared := w.sharedKEK(ctx, s.Generation, c.mode)
			c.err = shared.err
			sharedOutdated, keyID = sharedOutdated || shared.outdated, shared.keyID
		} else {
			keyID, c.err = w.lookAtOwn(ctx, c, slot, s)
		}
		if c.err != nil {
			return false, w.fail(c.key, c.err)
		}
		if w.moves() && c.mode == cipher.ModeSSEKMS && keyID != c.keyID {
			c.label = keyID
		}
	}
	if !w.req.DryRun && (len(c.slots) > 0 || c.label != "") {
		w.pending = append(w.pending, *c)
		w.load += len(c.slots)
	}
	return sharedOutdated, nil
}

// lookAtOwn adds an object's own KEK to what is to be rewrapped, if it is, and tells which key will wrap it then.
func (w *rewrapping) lookAtOwn(ctx context.Context, c *rewrapCandidate, slot int, s cipher.SealedKey) (string, error) {
	was, err := wrappedOf(&s)
	if err != nil {
		return "", err
	}
	to, outdated, err := w.plan(ctx, masterVersion{was.Instance, was.KeyID, was.Version}, c.mode)
	if err == nil && outdated {
		c.slots = append(c.slots, rewrapSlot{slot: slot, sealed: s, was: was, to: to})
	}
	if to.KeyID != "" {
		return to.KeyID, err
	}
	return was.KeyID, err
}

func (w *rewrapping) moves() bool { return w.req.To != (kms.KeyRef{}) }

// plan says whether a KEK is not where it is to be, and which other key it moves to, if it does.
func (w *rewrapping) plan(ctx context.Context, under masterVersion, mode cipher.Mode) (to kms.KeyRef, outdated bool, err error) {
	from := w.req.From
	if !from.Instance.IsZero() && from.Instance != under.instance || from.KeyID != "" && from.KeyID != under.keyID {
		return to, false, nil
	}
	if w.moves() {
		to = w.req.To
		if mode == cipher.ModeSSES3 {
			to = w.home
		}
		narrowed := from != (kms.KeyRef{}) && mode == cipher.ModeSSEKMS
		if to.Instance != under.instance || narrowed && to.KeyID != under.keyID {
			return kms.KeyRef{Instance: to.Instance, KeyID: to.KeyID}, true, nil
		}
	}
	newest, err := w.newestVersion(ctx, under.key())
	return kms.KeyRef{}, under.version < newest, err
}

func (w *rewrapping) newestVersion(ctx context.Context, owner masterKey) (uint32, error) {
	if version, ok := w.newest[owner]; ok {
		return version, nil
	}
	version, err := w.store.opts.Keys.NewestVersion(ctx, owner.instance, owner.keyID)
	if err == nil {
		w.newest[owner] = version
	}
	return version, err
}

// sharedKEK rewraps a generation of the bucket's KEK, once, if it is not where it is to be.
func (w *rewrapping) sharedKEK(ctx context.Context, generation uint32, mode cipher.Mode) *sharedKEK {
	if shared := w.shared[generation]; shared != nil {
		return shared
	}
	shared := &sharedKEK{}
	shared.err = w.rewrapGeneration(ctx, kekID{w.bucket.ID, generation}, mode, shared)
	if w.job == nil || !isAway(shared.err) {
		w.shared[generation] = shared
	}
	return shared
}

// errRaced says that what was rewrapped had been changed by another meanwhile.
var errRaced = errors.New("rewrapped by another request")

func (w *rewrapping) rewrapGeneration(ctx context.Context, id kekID, mode cipher.Mode, shared *sharedKEK) error {
	for attempt := 0; ; attempt++ {
		var was *kekRecord
		err := w.store.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
			was, err = readKEK(v.Get, id)
			return err
		})
		if err != nil {
			return err
		}
		shared.keyID = was.KeyID
		to, outdated, err := w.plan(ctx, masterVersion{was.Instance, was.KeyID, was.Version}, mode)
		if to.KeyID != "" {
			shared.keyID = to.KeyID
		}
		if err != nil || !outdated {
			shared.outdated = w.job != nil && w.job.hasRewrapped(id.generation)
			return err
		}
		shared.outdated, w.report.SharedKEK = true, true
		if w.req.DryRun {
			return nil
		}
		if err := w.commitGeneration(ctx, id, was, to); !errors.Is(err, errRaced) || attempt == maxLifts {
			return err
		}
	}
}

// commitGeneration wraps the KEK of a bucket anew, if it is still wrapped as it was.
func (w *rewrapping) commitGeneration(ctx context.Context, id kekID, was *kekRecord, to kms.KeyRef) error {
	subject := withSubjects(ctx, Subject{Bucket: w.req.Bucket})
	result := w.wrap(subject, kms.RewrapItem{Wrapped: was.wrapped(), Context: was.Context}, to)
	if result.Err != nil {
		return result.Err
	}
	using := w.store.keys.uses.begin() // until new objects use it as it is wrapped then
	defer using.end()
	var now *kekRecord
	err := w.transact(ctx, func(tx *change) (done, error) {
		var err error
		if now, err = readKEK(tx.GetForUpdate, id); err != nil {
			return done{}, err
		}
		if !bytes.Equal(now.Ciphertext, was.Ciphertext) {
			return done{}, errRaced
		}
		now.setWrapped(result.Wrapped)
		tx.kek(now)
		if w.job != nil {
			w.job.noteRewrapped(id.generation)
		}
		return done{keks: 1, shared: true}, tx.Put(kekKey(id.bucket, id.generation), encode(now))
	})
	if err == nil {
		w.store.keys.buckets.rewrapped(id, now)
	}
	return err
}

// wrap wraps one KEK anew, by the same key or another.
func (w *rewrapping) wrap(ctx context.Context, item kms.RewrapItem, to kms.KeyRef) kms.RewrapResult {
	if to == (kms.KeyRef{}) {
		return w.store.opts.Keys.Rewrap(ctx, []kms.RewrapItem{item})[0]
	}
	moved, err := w.store.opts.Keys.Move(ctx, item.Wrapped, item.Context, to)
	return kms.RewrapResult{Wrapped: moved, Err: err}
}

// flush sends what is pending to the backends and commits the answers.
func (w *rewrapping) flush(ctx context.Context) error {
	pending, load := w.pending, w.load
	w.pending, w.load = nil, 0
	if len(pending) == 0 {
		return nil
	}
	w.wrapAll(ctx, pending)
	if err := ctx.Err(); err != nil {
		return err
	}
	var ready []rewrapCandidate
	var away error
	for _, c := range pending {
		if c.err == nil {
			ready = append(ready, c)
		} else if err := w.fail(c.key, c.err); err != nil {
			away = err
		}
	}
	for len(ready) > 0 {
		if err := w.store.space.admitChange(ctx); err != nil {
			return err
		}
		n := min(len(ready), rewrapsPerCommit)
		if err := w.commit(ctx, ready[:n]); err != nil {
			return err
		}
		ready = ready[n:]
	}
	if away != nil || w.job == nil {
		return away
	}
	return w.job.pace(ctx, load)
}

// wrapAll has the KEKs of candidates wrapped: those that stay with their keys in batches, those that move one by one.
func (w *rewrapping) wrapAll(ctx context.Context, pending []rewrapCandidate) {
	type place struct {
		c *rewrapCandidate
		s *rewrapSlot
	}
	var stay []place
	var items []kms.RewrapItem
	var subjects []Subject
	var moving errgroup.Group
	moving.SetLimit(movesAtOnce)
	results := make(map[*rewrapSlot]kms.RewrapResult)
	var moved []place
	for i := range pending {
		c := &pending[i]
		for j := range c.slots {
			if s := &c.slots[j]; s.to == (kms.KeyRef{}) {
				stay = append(stay, place{c, s})
				items = append(items, kms.RewrapItem{Wrapped: s.was, Context: s.sealed.Context})
				subjects = append(subjects, Subject{Bucket: w.req.Bucket, Key: c.key})
			} else {
				moved = append(moved, place{c, s})
			}
		}
	}
	answers := make([]kms.RewrapResult, len(moved))
	for i, p := range moved {
		moving.Go(func() error {
			subject := withSubjects(ctx, Subject{Bucket: w.req.Bucket, Key: p.c.key})
			answers[i] = w.wrap(subject, kms.RewrapItem{Wrapped: p.s.was, Context: p.s.sealed.Context}, p.s.to)
			return nil
		})
	}
	if len(items) > 0 {
		for i, result := range w.store.opts.Keys.Rewrap(withSubjects(ctx, subjects...), items) {
			results[stay[i].s] = result
		}
	}
	_ = moving.Wait() // the functions return nil
	for i, p := range moved {
		results[p.s] = answers[i]
	}
	for _, p := range append(stay, moved...) {
		p.s.take(results[p.s], p.c)
	}
}

// take makes the SealedKey that a result gives.
func (s *rewrapSlot) take(result kms.RewrapResult, c *rewrapCandidate) {
	if result.Err == nil {
		setWrapped(&s.sealed, result.Wrapped)
		s.fresh, result.Err = s.sealed.MarshalBinary()
	}
	if result.Err != nil {
		c.err = result.Err
	}
}

// commit writes rewrapped candidates, in two halves where one transaction cannot take them. What changed meanwhile was
// sealed anew or will be found again.
func (w *rewrapping) commit(ctx context.Context, batch []rewrapCandidate) error {
	err := w.transact(ctx, func(tx *change) (d done, err error) {
		names, err := namesForUpdate(tx, w.req.Bucket, w.bucket.ID)
		for i := range batch {
			if err != nil {
				return d, err
			}
			var written bool
			if c := &batch[i]; c.upload.IsZero() {
				if written, err = c.commitObject(names); written {
					d.objects, d.keks = d.objects+1, d.keks+len(c.slots)
				}
			} else if written, err = c.commitUpload(tx, w.bucket.ID); written {
				d.uploads, d.keks = d.uploads+1, d.keks+len(c.slots)
			}
		}
		return d, err
	})
	if errors.Is(err, metastore.ErrLimit) && len(batch) > 1 {
		if err := w.commit(ctx, batch[:len(batch)/2]); err != nil {
			return err
		}
		return w.commit(ctx, batch[len(batch)/2:])
	}
	return err
}

// commitObject writes the record of an object that is still as it was.
func (c *rewrapCandidate) commitObject(names *nameWriter) (bool, error) {
	r, err := names.current(c.key)
	if err != nil || r == nil || r.Object != c.object || !c.apply(r.Keys, &r.Encryption) {
		return false, err
	}
	return true, names.write(c.key, r)
}

// commitUpload writes the record of an upload that is still as it was.
func (c *rewrapCandidate) commitUpload(tx *change, bucket cipher.BucketID) (bool, error) {
	place := uploadPlace{bucket: bucket, key: c.key, id: c.upload}
	u, err := readUpload(tx.GetForUpdate, &place)
	if faultKind(err) == KindNoSuchUpload {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	keys := [][]byte{u.Key}
	if u.Object != c.object || !c.apply(keys, &u.Encryption) {
		return false, nil
	}
	if err := tx.uploadKey(bucket, u.Key, keys[0]); err != nil {
		return false, err
	}
	u.Key = keys[0]
	return true, tx.Put(place.metaKey(), encode(u))
}

// apply puts the rewrapped SealedKeys in place; false: the slots are not as they were.
func (c *rewrapCandidate) apply(keys [][]byte, e *storedEncryption) bool {
	for _, s := range c.slots {
		if s.slot >= len(keys) || !bytes.Equal(keys[s.slot], c.keys[s.slot]) {
			return false
		}
	}
	for _, s := range c.slots {
		keys[s.slot] = s.fresh
	}
	if c.label != "" {
		e.KeyID = c.label
	}
	return true
}
