package object

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

const (
	defaultRewrapPage = kms.MaxBatch // objects read, and KEKs sent to a backend, at a time
	rewrapsPerCommit  = 48           // records written by one transaction
	maxRewrapErrors   = 1000         // that are reported one by one
)

// RewrapRequest asks for the KEKs of a bucket's objects and uploads to be wrapped by the newest versions of their keys, or
// by another key. Objects whose KEK is there already cost nothing and do not count against MaxObjects. Bytes, ETags,
// times and version ids stay.
type RewrapRequest struct {
	Bucket     string
	Prefix     string
	Shallow    bool // only keys without a "/" behind Prefix
	PageSize   int  // 1…1000; 0: 1000
	MaxObjects int  // objects to rewrap at most; 0: all
	DryRun     bool // count, change nothing
	After      string

	// To is a key that KEKs of SSE-KMS move to which another backend has wrapped; what their objects say of their key
	// changes with them. KEKs of SSE-S3 that are not where new ones are made go there. The zero value moves nothing.
	To kms.KeyRef
	// From narrows the work to KEKs wrapped by one backend, one key, or both. With To, these move whichever backend
	// it is.
	From kms.KeyRef
}

// RewrapReport says what a rewrap found and did.
type RewrapReport struct {
	Matched   int           // objects that a key service protects
	Outdated  int           // of those, objects whose KEK was not where it is to be
	Rewrapped int           // objects whose KEK is there now
	Uploads   int           // uploads in progress whose KEK is there now
	KEKs      int           // KEKs that were rewrapped or moved
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

// rewrapping is one call of Rewrap, or one run of a job. It belongs to one goroutine.
type rewrapping struct {
	store   *Store
	req     *RewrapRequest
	bucket  *bucketRecord
	job     *jobRun               // nil: nobody keeps the progress
	home    kms.KeyRef            // of KEKs of SSE-S3; where To is set
	newest  map[masterKey]uint32  // newest version of a key
	shared  map[uint32]*sharedKEK // by generation
	report  RewrapReport
	saved   RewrapReport // of the job, as committed: what was found up to the cursor, and what was done
	pending []rewrapCandidate
	load    int                          // KEKs in pending
	met     map[cipher.ObjectID]struct{} // records that several names share
}

// done is what one transaction rewrapped.
type done struct {
	objects, uploads, keks int
	shared                 bool // the KEK was the bucket's
}

// Rewrap works through a bucket, page by page.
func (s *Store) Rewrap(ctx context.Context, req RewrapRequest) (RewrapReport, error) {
	w, err := s.newRewrapping(ctx, &req)
	if err == nil {
		err = w.run(ctx)
	}
	if w == nil {
		return RewrapReport{}, s.wrap("rewrap", req.Bucket, "", err)
	}
	return w.report, s.wrap("rewrap", req.Bucket, "", err)
}

func (s *Store) newRewrapping(ctx context.Context, req *RewrapRequest) (*rewrapping, error) {
	if req.PageSize < 0 || req.PageSize > defaultRewrapPage || req.MaxObjects < 0 {
		return nil, errKindf(KindInvalidArgument, "page size or number of objects")
	}
	moves := req.To != (kms.KeyRef{})
	if moves && (req.To.Instance.IsZero() || kms.CheckKeyID(req.To.KeyID) != nil) {
		return nil, errKindf(KindInvalidArgument, "a target is a backend and a key")
	}
	req.PageSize = orDefault(req.PageSize, defaultRewrapPage)
	b, err := s.bucket(ctx, req.Bucket)
	if err != nil {
		return nil, err
	}
	w := &rewrapping{store: s, req: req, bucket: b, newest: make(map[masterKey]uint32), shared: make(map[uint32]*sharedKEK),
		met: make(map[cipher.ObjectID]struct{})}
	if moves {
		w.home, err = s.opts.Keys.Resolve(ctx, cipher.ModeSSES3, "")
	}
	return w, err
}

func (w *rewrapping) run(ctx context.Context) error {
	if err := w.objects(ctx); err != nil || w.report.Next != "" {
		return err
	}
	if err := w.uploads(ctx); err != nil || w.req.Prefix != "" || w.req.Shallow {
		return err
	}
	return w.generations(ctx)
}

// objects works through the names. KEKs gather over pages, so that backends get long batches.
func (w *rewrapping) objects(ctx context.Context) error {
	after := w.req.After
	for more, pages := true, 0; more; pages++ {
		var names []string
		var records []*record
		var err error
		if names, records, more, err = w.page(ctx, after); err != nil {
			return err
		}
		for i, r := range records {
			if w.full() {
				w.report.Next = after
				return w.advance(ctx, after)
			}
			if err := w.consider(ctx, names[i], r); err != nil {
				return err
			}
			after = names[i]
		}
		if !more || w.load >= w.req.PageSize || (pages+1)%rewrapPagesKept == 0 {
			if err := w.advance(ctx, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrapPagesKept is how many pages in which there is little to do come between two marks of a job's progress.
const rewrapPagesKept = 16

// advance carries out what is pending; a job goes on after the given key from now on.
func (w *rewrapping) advance(ctx context.Context, after string) error {
	if err := w.flush(ctx); err != nil || w.job == nil {
		return err
	}
	return w.job.advance(ctx, w, after)
}

// full reports whether as many objects as asked for are being rewrapped.
func (w *rewrapping) full() bool {
	return w.req.MaxObjects > 0 && w.report.Outdated >= w.req.MaxObjects
}

// page reads the next records under the prefix; one that several names share is read once.
func (w *rewrapping) page(ctx context.Context, after string) (keys []string, records []*record, more bool, err error) {
	err = w.store.readNames(ctx, w.req.Bucket, func(n *names) error {
		if n.bucket.ID != w.bucket.ID {
			return errKind(KindNoSuchBucket)
		}
		space := n.space()
		from, to := metastore.PrefixRange(space.join(w.req.Prefix))
		if start := space.after(ListPosition{Key: after}); bytes.Compare(start, from) > 0 {
			from = start
		}
		for kv, err := range space.scan(from, to) {
			if err != nil {
				return err
			}
			key := nameOf(kv.Key)
			if w.isTooDeep(key) {
				continue
			}
			if more = len(keys) == w.req.PageSize; more {
				return nil
			}
			r, err := n.decode(kv.Value)
			if err != nil {
				return err
			}
			if !w.again(r) {
				keys, records = append(keys, key), append(records, r)
			}
		}
		return nil
	})
	return keys, records, more, err
}

// again reports whether the record of several names was met under another one.
func (w *rewrapping) again(r *record) bool {
	if r.Links == 0 {
		return false
	}
	_, met := w.met[r.Object]
	w.met[r.Object] = struct{}{}
	return met
}

func (w *rewrapping) isTooDeep(key string) bool {
	return w.req.Shallow && strings.Contains(key[len(w.req.Prefix):], "/")
}

// uploads rewraps the KEKs of uploads in progress.
func (w *rewrapping) uploads(ctx context.Context) error {
	var found []rewrapCandidate
	from, to := metastore.PrefixRange(uploadKeyPrefix(w.bucket.ID, w.req.Prefix))
	err := w.store.scan(ctx, from, to, func(kv metastore.KV) error {
		key, id, err := parseUploadKey(kv.Key)
		if err != nil {
			return errKindf(KindCorrupt, "%w", err)
		}
		var u uploadRecord
		if err := decode(kv.Value, &u); err != nil || w.isTooDeep(key) || u.Encryption.Mode == cipher.ModeSSEC {
			return err
		}
		found = append(found, rewrapCandidate{
			key: key, upload: id, object: u.Object, keys: [][]byte{u.Key}, mode: u.Encryption.mode(), keyID: u.Encryption.KeyID,
		})
		return nil
	})
	for _, c := range found {
		if err == nil {
			_, err = w.look(ctx, &c)
		}
	}
	if err == nil {
		err = w.flush(ctx)
	}
	return err
}

// generations rewraps the KEKs of the bucket that no object needed on the way.
func (w *rewrapping) generations(ctx context.Context) error {
	found := map[uint32]kekRecord{}
	err := w.store.scanPrefix(ctx, kekPrefix(w.bucket.ID), func(kv metastore.KV) error {
		var r kekRecord
		id, err := parseKEKKey(kv.Key)
		if err == nil {
			err = decode(kv.Value, &r)
		}
		found[id.generation] = r
		return err
	})
	for _, generation := range slices.Sorted(maps.Keys(found)) {
		if err != nil {
			return err
		}
		if w.shared[generation] != nil { // its objects were told of
			continue
		}
		mode, r := cipher.ModeSSEKMS, found[generation]
		if generation == w.bucket.Generation || r.Instance == w.home.Instance && r.KeyID == w.home.KeyID { // or it was SSE-S3's
			mode = cipher.ModeSSES3
		}
		if shared := w.sharedKEK(ctx, generation, mode); shared.err != nil {
			err = w.fail("", shared.err)
		}
	}
	return err
}

// fail counts an object that could not be rewrapped. Work that is kept on waits instead for a backend that is away.
func (w *rewrapping) fail(key string, err error) error {
	if w.job != nil && isAway(err) {
		return err
	}
	w.report.Failed++
	if len(w.report.Errors) < maxRewrapErrors {
		w.report.Errors = append(w.report.Errors, RewrapError{Key: key, Err: w.store.wrap("rewrap", w.req.Bucket, key, err)})
	}
	return nil
}

// isAway reports whether a backend may do later what it cannot do now.
func isAway(err error) bool {
	return slices.ContainsFunc([]kms.Kind{kms.Unavailable, kms.Throttled, kms.NotConfigured}, func(k kms.Kind) bool { return errors.Is(err, k) })
}

// transact runs a transaction that rewraps, and counts what it did. A job keeps the counts in the same one.
func (w *rewrapping) transact(ctx context.Context, fn func(*change) (done, error)) error {
	var d done
	err := w.store.updateNames(ctx, func(tx *change) (err error) {
		if d, err = fn(tx); err != nil || w.job == nil {
			return err
		}
		return w.job.put(tx, w.saved.plus(d), nil)
	})
	if err == nil {
		w.saved, w.report = w.saved.plus(d), w.report.plus(d)
	}
	return err
}

func (r RewrapReport) plus(d done) RewrapReport {
	r.Rewrapped, r.Uploads, r.KEKs = r.Rewrapped+d.objects, r.Uploads+d.uploads, r.KEKs+d.keks
	r.SharedKEK = r.SharedKEK || d.shared
	return r
}
