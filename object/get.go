package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/object/checksum"
)

// Head tells what a Get would read.
func (s *Store) Head(ctx context.Context, req GetRequest) (Selection, error) {
	r, bucket, err := s.find(ctx, req.Bucket, req.Key, req.VersionID)
	if err == nil {
		err = s.checkCustomer(ctx, bucket, r, req.Customer)
	}
	if err != nil {
		return Selection{}, s.wrap("head", req.Bucket, req.Key, err)
	}
	sel, err := s.choose(ctx, &req, r)
	return sel, s.wrap("head", req.Bucket, req.Key, err)
}

// checkCustomer makes sure that a request without a body knows the client's key of an SSE-C object, and brings none for
// another. It makes no call to a key service.
func (s *Store) checkCustomer(ctx context.Context, bucket cipher.BucketID, r *record, customer *cipher.KEK) error {
	if r.Encryption.Mode != cipher.ModeSSEC {
		if customer != nil {
			return errKindf(KindInvalidRequest, "the object is not encrypted with a client's key")
		}
		return nil
	}
	keys, err := s.openKeys(ctx, bucket, r, customer)
	for _, k := range keys {
		k.Wipe()
	}
	return err
}

// Get opens one version for reading. When it returns the first bytes selected have been verified.
func (s *Store) Get(ctx context.Context, req GetRequest) (*Reader, error) {
	r, err := s.get(ctx, &req)
	if err != nil {
		return nil, s.wrap("get", req.Bucket, req.Key, err)
	}
	return r, nil
}

func (s *Store) get(ctx context.Context, req *GetRequest) (*Reader, error) {
	rec, bucket, unpin, err := s.findPinned(ctx, req.Bucket, req.Key, req.VersionID)
	if err != nil {
		return nil, err
	}
	sel, err := s.choose(ctx, req, rec)
	if err != nil {
		unpin()
		return nil, err
	}
	return s.open(withSubjects(ctx, Subject{Bucket: req.Bucket, Key: req.Key}), bucket, rec, sel, req.Customer, unpin)
}

// open makes the Reader of a selection and verifies its first bytes. It takes over the pin.
func (s *Store) open(ctx context.Context, bucket cipher.BucketID, rec *record, sel Selection, customer *cipher.KEK, unpin func()) (*Reader, error) {
	work := s.opener(rec.Encryption.mode())
	keys, err := s.openKeys(ctx, bucket, rec, customer)
	if err != nil {
		unpin()
		return nil, err
	}
	r := &Reader{
		ctx: ctx, selection: sel, unpin: unpin, off: sel.Offset, end: sel.Offset + sel.Length,
		body: &bodyReader{store: s, body: &rec.Body, size: rec.Size, keys: keys, work: work},
	}
	if r.off < r.end {
		if err := r.next(); err != nil {
			_ = r.Close() // the error that counts is the read's
			return nil, err
		}
	}
	return r, nil
}

// openKeys opens the DataKeys of a record, which is the subject of ctx. customer is the client's key of an SSE-C object.
func (s *Store) openKeys(ctx context.Context, bucket cipher.BucketID, rec *record, customer *cipher.KEK) ([]*cipher.DataKey, error) {
	keys := make([]*cipher.DataKey, 0, len(rec.Keys))
	for _, sealed := range rec.Keys {
		key, err := s.keys.open(ctx, bucket, rec.Object, sealed, customer)
		if err != nil {
			for _, k := range keys {
				k.Wipe()
			}
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// find reads a version's record.
func (s *Store) find(ctx context.Context, bucket, key, versionID string) (*record, cipher.BucketID, error) {
	if err := errors.Join(ValidateKey(key), validateVersionID(versionID)); err != nil {
		return nil, cipher.BucketID{}, err
	}
	var r *record
	var id cipher.BucketID
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		b, err := readBucket(v.Get, bucket)
		if err != nil {
			return err
		}
		id = b.ID
		r, err = readName(v.Get, b, key)
		return err
	})
	switch {
	case err != nil:
		return nil, id, err
	case versionID != "" && versionID != NullVersion:
		return nil, id, errKind(KindNoSuchVersion)
	case r == nil:
		return nil, id, errKind(KindNoSuchKey)
	}
	return r, id, nil
}

// validateVersionID refuses what no version id looks like.
func validateVersionID(id string) error {
	if id == "" || id == NullVersion {
		return nil
	}
	if _, err := cipher.ParseVersionID(id); err != nil {
		return errKindf(KindInvalidArgument, "invalid version id")
	}
	return nil
}

// findPinned is find with the body pinned, and what wraps its KEKs held; the caller calls unpin once.
func (s *Store) findPinned(ctx context.Context, bucket, key, versionID string) (r *record, id cipher.BucketID, unpin func(), err error) {
	entered := s.pins.enter()
	defer s.pins.leave(entered)
	using := s.keys.uses.begin()
	if r, id, err = s.find(ctx, bucket, key, versionID); err == nil {
		err = using.hold(id, r.Keys...)
	}
	if err != nil {
		using.end()
		return nil, id, nil, err
	}
	pinned := s.pins.pin(r.Body.ID)
	return r, id, func() {
		pinned.release()
		using.end()
	}, nil
}

// choose evaluates the conditions and the range or part of a request against a record.
func (s *Store) choose(ctx context.Context, req *GetRequest, r *record) (Selection, error) {
	sel := Selection{Info: r.info(req.Bucket, req.Key), Length: r.Size, Checksum: r.Checksum.public()}
	err := req.If.check(r)
	switch {
	case err != nil:
	case req.PartNumber != 0:
		sel.Partial = true
		err = s.choosePart(ctx, r, req.PartNumber, &sel)
	case req.Range != nil:
		sel.Partial, sel.Checksum = true, Checksum{}
		sel.Offset, sel.Length, err = req.Range.resolve(r.Size)
	}
	if f, ok := err.(*fault); ok {
		f.info = &sel.Info
	}
	return sel, err
}

// resolve turns a range into an offset and a length within size bytes (RFC 9110 section 14.1.2).
func (r *RangeSpec) resolve(size int64) (offset, length int64, err error) {
	switch {
	case r.First < 0 && r.Last <= 0, r.First >= 0 && r.First >= size, r.First < 0 && size == 0:
		return 0, 0, errKindf(KindInvalidRange, "the object has %d bytes", size)
	case r.First < 0:
		length = min(r.Last, size)
		return size - length, length, nil
	case r.Last < 0 || r.Last >= size:
		return r.First, size - r.First, nil
	case r.Last < r.First:
		return 0, 0, errKindf(KindInvalidRange, "it ends before it begins")
	default:
		return r.First, r.Last - r.First + 1, nil
	}
}

// choosePart selects the bytes of a part. An object that was put whole has one part. The part of a multipart object has a
// checksum where the object's is made of those of its parts.
func (s *Store) choosePart(ctx context.Context, r *record, number int, sel *Selection) error {
	if number < 1 || number > MaxParts {
		return errKindf(KindInvalidArgument, "part numbers are 1 to %d", MaxParts)
	}
	if r.Parts.Count == 0 && number == 1 {
		return nil
	}
	sel.Checksum = Checksum{}
	found := false
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		return r.Parts.from(v, number, func(e partEntry) bool {
			if found = e.Number == number; !found {
				return false
			}
			sel.Offset, sel.Length = e.Offset, e.Size
			if r.Checksum.Type == checksum.Composite {
				sel.Checksum = Checksum{Algorithm: r.Checksum.Algorithm, Type: checksum.Composite, Value: e.Checksum}
			}
			return false
		})
	})
	if err == nil && !found {
		return errKindf(KindInvalidRange, "the object has no part %d", number)
	}
	return err
}

// Parts lists the parts of a completed multipart object, after the part number after and at most max.
func (s *Store) Parts(ctx context.Context, req GetRequest, after, max int) (PartTable, error) {
	r, bucket, err := s.find(ctx, req.Bucket, req.Key, req.VersionID)
	if err == nil {
		err = s.checkCustomer(ctx, bucket, r, req.Customer)
	}
	if err != nil {
		return PartTable{}, s.wrap("parts", req.Bucket, req.Key, err)
	}
	t := PartTable{Info: r.info(req.Bucket, req.Key), Total: r.Parts.Count}
	err = s.opts.Meta.View(ctx, func(v *metastore.View) error {
		return r.Parts.from(v, after+1, func(e partEntry) bool {
			t.More = len(t.Parts) == max
			if !t.More {
				t.Parts = append(t.Parts, e.info(r.Checksum.Algorithm, r.Encryption))
			}
			return !t.More
		})
	})
	return t, s.wrap("parts", req.Bucket, req.Key, err)
}
