package object

import (
	"bytes"
	"context"
	"strings"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

const (
	defaultRewrapPage = 1000 // objects read, and KEKs sent to a backend, at a time
	rewrapsPerCommit  = 32   // records written by one transaction, well within its limits
	maxRewrapErrors   = 1000 // that are reported one by one
)

// RewrapRequest asks for the KEKs of a bucket's objects to be wrapped by the newest versions of their keys. Objects whose
// KEK is there already cost nothing and do not count against MaxObjects. Bytes, ETags, times and version ids stay.
type RewrapRequest struct {
	Bucket     string
	Prefix     string
	Shallow    bool // only keys without a "/" behind Prefix
	PageSize   int  // 1…1000; 0: 1000
	MaxObjects int  // objects to rewrap at most; 0: all
	DryRun     bool // count, change nothing
	After      string
}

// RewrapReport says what a rewrap found and did.
type RewrapReport struct {
	Matched   int           // objects that a key service protects
	Outdated  int           // of those, objects whose KEK was not at its key's newest version
	Rewrapped int           // objects whose KEK is there now
	KEKs      int           // KEKs that were rewrapped
	SharedKEK bool          // one of them serves several objects: the bucket's
	Failed    int           // objects that could not be rewrapped
	Errors    []RewrapError // of the first of them
	Next      string        // key to go on after, "" when the end was reached
}

// RewrapError is an object that could not be rewrapped.
type RewrapError struct {
	Key string
	Err error
}

// rewrapping is one call of Rewrap.
type rewrapping struct {
	store   *Store
	req     *RewrapRequest
	bucket  *bucketRecord
	newest  map[kekOwner]uint32   // newest version of a key
	shared  map[uint32]*sharedKEK // by generation
	report  RewrapReport
	pending []rewrapCandidate
}

type kekOwner struct {
	instance cipher.InstanceID
	keyID    string
}

// sharedKEK is what became of a generation of the bucket's KEK.
type sharedKEK struct {
	outdated bool
	err      error
}

// rewrapCandidate is a key slot of a record whose KEK is to be rewrapped.
type rewrapCandidate struct {
	key    string
	object cipher.ObjectID
	slot   int
	sealed cipher.SealedKey
	was    []byte // the slot as it was read
}

// Rewrap works through a bucket, page by page.
func (s *Store) Rewrap(ctx context.Context, req RewrapRequest) (RewrapReport, error) {
	if req.PageSize < 0 || req.PageSize > defaultRewrapPage || req.MaxObjects < 0 {
		return RewrapReport{}, s.wrap("rewrap", req.Bucket, "", errKindf(KindInvalidArgument, "page size or number of objects"))
	}
	req.PageSize = orDefault(req.PageSize, defaultRewrapPage)
	b, err := s.bucket(ctx, req.Bucket)
	if err != nil {
		return RewrapReport{}, s.wrap("rewrap", req.Bucket, "", err)
	}
	w := &rewrapping{store: s, req: &req, bucket: b, newest: make(map[kekOwner]uint32), shared: make(map[uint32]*sharedKEK)}
	err = w.run(ctx)
	return w.report, s.wrap("rewrap", req.Bucket, "", err)
}

func (w *rewrapping) run(ctx context.Context) error {
	after := w.req.After
	for {
		names, records, more, err := w.page(ctx, after)
		if err != nil {
			return err
		}
		for i, r := range records {
			if w.full() {
				w.report.Next = after
				return w.flush(ctx)
			}
			if err := w.consider(ctx, names[i], r); err != nil {
				return err
			}
			after = names[i]
		}
		if err := w.flush(ctx); err != nil || !more {
			return err
		}
	}
}

// full reports whether as many objects as asked for are being rewrapped.
func (w *rewrapping) full() bool {
	return w.req.MaxObjects > 0 && w.report.Outdated >= w.req.MaxObjects
}

// page reads the next records under the prefix.
func (w *rewrapping) page(ctx context.Context, after string) (names []string, records []*record, more bool, err error) {
	n := namesOf(w.bucket)
	from, to := metastore.PrefixRange(n.join(w.req.Prefix))
	if start := n.after(ListPosition{Key: after}); bytes.Compare(start, from) > 0 {
		from = start
	}
	err = w.store.scan(ctx, from, to, func(kv metastore.KV) error {
		key := nameOf(kv.Key)
		if w.req.Shallow && strings.Contains(key[len(w.req.Prefix):], "/") {
			return nil
		}
		if len(names) == w.req.PageSize {
			more = true
			return errStop
		}
		r, err := decodeRecord(kv.Value)
		if err != nil {
			return err
		}
		names, records = append(names, key), append(records, r)
		return nil
	})
	return names, records, more, err
}

// consider takes an object in whose KEK is outdated. The bucket's KEK is rewrapped at once, an object's own with the
// others of the page.
func (w *rewrapping) consider(ctx context.Context, key string, r *record) error {
	if r.Encryption.Mode == cipher.ModeSSEC || len(r.Keys) == 0 {
		return nil
	}
	w.report.Matched++
	var found []rewrapCandidate
	sharedOutdated := false
	for slot, sealed := range r.Keys {
		var s cipher.SealedKey
		if err := s.UnmarshalBinary(sealed); err != nil {
			return errKindf(KindCorrupt, "%q: %w", key, err)
		}
		if s.Generation != 0 {
			shared := w.sharedKEK(ctx, s.Generation)
			if shared.err != nil {
				w.fail(key, shared.err)
				return nil
			}
			sharedOutdated = sharedOutdated || shared.outdated
			continue
		}
		outdated, err := w.outdated(ctx, &s)
		if err != nil {
			w.fail(key, err)
			return nil
		}
		if outdated {
			found = append(found, rewrapCandidate{key: key, object: r.Object, slot: slot, sealed: s, was: sealed})
		}
	}
	if sharedOutdated || len(found) > 0 {
		w.report.Outdated++
	}
	if sharedOutdated && len(found) == 0 && !w.req.DryRun {
		w.report.Rewrapped++
	}
	if !w.req.DryRun {
		w.pending = append(w.pending, found...)
	}
	return nil
}

func (w *rewrapping) fail(key string, err error) {
	w.report.Failed++
	if len(w.report.Errors) < maxRewrapErrors {
		w.report.Errors = append(w.report.Errors, RewrapError{Key: key, Err: w.store.wrap("rewrap", w.req.Bucket, key, err)})
	}
}

// outdated reports whether a KEK of an object's own is not wrapped by its key's newest version.
func (w *rewrapping) outdated(ctx context.Context, s *cipher.SealedKey) (bool, error) {
	keyID, _, err := kms.ParseBlob(s.Wrapped)
	if err != nil {
		return false, errKindf(KindCorrupt, "wrapped kek: %w", err)
	}
	newest, err := w.newestVersion(ctx, kekOwner{s.Instance, keyID})
	return s.KeyVersion < newest, err
}

func (w *rewrapping) newestVersion(ctx context.Context, owner kekOwner) (uint32, error) {
	if version, ok := w.newest[owner]; ok {
		return version, nil
	}
	version, err := w.store.opts.Keys.NewestVersion(ctx, owner.instance, owner.keyID)
	if err == nil {
		w.newest[owner] = version
	}
	return version, err
}

// sharedKEK rewraps a generation of the bucket's KEK, once, if it is outdated.
func (w *rewrapping) sharedKEK(ctx context.Context, generation uint32) *sharedKEK {
	if shared := w.shared[generation]; shared != nil {
		return shared
	}
	shared := &sharedKEK{}
	w.shared[generation] = shared
	shared.outdated, shared.err = w.rewrapGeneration(ctx, kekID{w.bucket.ID, generation})
	return shared
}

func (w *rewrapping) rewrapGeneration(ctx context.Context, id kekID) (bool, error) {
	var was *kekRecord
	err := w.store.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		was, err = readKEK(v.Get, id)
		return err
	})
	if err != nil {
		return false, err
	}
	newest, err := w.newestVersion(ctx, kekOwner{was.Instance, was.KeyID})
	if err != nil || was.Version >= newest {
		return false, err
	}
	w.report.SharedKEK = true
	if w.req.DryRun {
		return true, nil
	}
	subject := withSubjects(ctx, Subject{Bucket: w.req.Bucket})
	result := w.store.opts.Keys.Rewrap(subject, []kms.RewrapItem{{Wrapped: was.wrapped(), Context: was.Context}})[0]
	if result.Err != nil {
		return true, result.Err
	}
	w.report.KEKs++
	return true, w.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		now, err := readKEK(tx.GetForUpdate, id)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.Ciphertext, was.Ciphertext) {
			return errKindf(KindOperationAborted, "the bucket's KEK is being rewrapped by another request")
		}
		now.setWrapped(result.Wrapped)
		return tx.Put(kekKey(id.bucket, id.generation), encode(now))
	})
}

// flush sends what is pending to the backends and commits the answers.
func (w *rewrapping) flush(ctx context.Context) error {
	pending := w.pending
	w.pending = nil
	if len(pending) == 0 {
		return nil
	}
	items, subjects := make([]kms.RewrapItem, len(pending)), make([]Subject, len(pending))
	for i := range pending {
		subjects[i] = Subject{Bucket: w.req.Bucket, Key: pending[i].key}
		s := &pending[i].sealed
		keyID, ciphertext, err := kms.ParseBlob(s.Wrapped)
		if err != nil {
			return errKindf(KindCorrupt, "wrapped kek: %w", err)
		}
		items[i] = kms.RewrapItem{Context: s.Context, Wrapped: kms.Wrapped{
			Instance: s.Instance, KeyID: keyID, Fingerprint: s.KeyFingerprint, Version: s.KeyVersion, Ciphertext: ciphertext,
		}}
	}
	results := w.store.opts.Keys.Rewrap(withSubjects(ctx, subjects...), items)
	var done []rewrapCandidate
	for i, result := range results {
		if result.Err != nil {
			w.fail(pending[i].key, result.Err)
			continue
		}
		s := &pending[i].sealed
		s.Instance, s.KeyFingerprint, s.KeyVersion, s.Wrapped = result.Wrapped.Instance, result.Wrapped.Fingerprint, result.Wrapped.Version, result.Wrapped.Blob()
		done = append(done, pending[i])
	}
	for len(done) > 0 {
		if err := w.store.space.admitChange(ctx); err != nil {
			return err
		}
		n := min(len(done), rewrapsPerCommit)
		if err := w.commit(ctx, done[:n]); err != nil {
			return err
		}
		done = done[n:]
	}
	return nil
}

// commit writes rewrapped key slots. An object that changed meanwhile was sealed anew or will be found again.
func (w *rewrapping) commit(ctx context.Context, batch []rewrapCandidate) error {
	written, objects := 0, map[string]bool{}
	err := w.store.changeNames(ctx, w.req.Bucket, w.bucket.ID, func(names *nameWriter) error {
		written = 0
		clear(objects)
		for i := range batch {
			c := &batch[i]
			r, err := names.current(c.key)
			if err != nil {
				return err
			}
			if r == nil || r.Object != c.object || c.slot >= len(r.Keys) || !bytes.Equal(r.Keys[c.slot], c.was) {
				continue
			}
			if r.Keys[c.slot], err = c.sealed.MarshalBinary(); err != nil {
				return err
			}
			if err := names.write(c.key, r); err != nil {
				return err
			}
			written++
			objects[c.key] = true
		}
		return nil
	})
	if err == nil {
		w.report.KEKs += written
		w.report.Rewrapped += len(objects)
	}
	return err
}
