package object

import (
	"context"
	"errors"
	"time"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/object/checksum"
)

// PutPart stores one part of an upload, in place of one with the same number.
func (s *Store) PutPart(ctx context.Context, req PartRequest) (PartInfo, error) {
	info, err := s.putPart(ctx, &req)
	return info, s.wrap("put part", req.Bucket, req.Key, err)
}

func (s *Store) putPart(ctx context.Context, req *PartRequest) (PartInfo, error) {
	if req.Number < 1 || req.Number > MaxParts {
		return PartInfo{}, errKindf(KindInvalidArgument, "part numbers are 1 to %d", MaxParts)
	}
	using := s.keys.uses.begin()
	defer using.end()
	u, place, err := s.findUpload(ctx, req.Bucket, req.Key, req.UploadID)
	if err == nil {
		err = using.hold(place.bucket, u.Key)
	}
	if err != nil {
		return PartInfo{}, err
	}
	if err := u.checkPartChecksum(req.Digests.Algorithm); err != nil {
		return PartInfo{}, err
	}
	subject, work := withSubjects(ctx, Subject{Bucket: req.Bucket, Key: req.Key}), s.sealer(u.Encryption.mode())
	key, err := s.keys.open(subject, place.bucket, u.Object, u.Key, req.Customer)
	if err != nil {
		return PartInfo{}, err
	}
	defer key.Wipe()
	p, err := s.receive(ctx, key, &incoming{
		src: req.Body, size: req.Size, limit: MaxPartSize, unproven: req.Unproven, want: req.Digests, work: work,
		tagMD5: u.Encryption.wantsMD5(),
	})
	if err != nil {
		return PartInfo{}, err
	}
	part := &partRecord{
		Format: recordFormat, Size: p.size, MD5: p.tag(u.Encryption), Checksum: p.digests.sum, ModTime: s.opts.Now().UnixNano(),
		Body: p.body,
	}
	if err := s.publishPart(ctx, &place, req.Number, part, p); err != nil {
		s.abandon(ctx, p, err)
		return PartInfo{}, err
	}
	return part.info(req.Number, req.Digests.Algorithm, u.Encryption), nil
}

// publishPart records a part, if its upload is still open.
func (s *Store) publishPart(ctx context.Context, place *uploadPlace, number int, part *partRecord, p *pendingBody) error {
	replaced := false
	err := s.update(ctx, func(tx *change) error {
		u, err := readUpload(tx.GetForUpdate, place)
		if err != nil {
			return err
		}
		if u.Run == s.run && !u.Completing.IsZero() {
			return errKindf(KindOperationAborted, "the upload is being completed")
		}
		key := partKey(place.id, number)
		value, err := tx.GetForUpdate(key)
		replaced = err == nil
		switch {
		case replaced:
			var old partRecord
			if err := decode(value, &old); err != nil {
				return err
			}
			if err := queuePart(tx.Tx, &old); err != nil {
				return err
			}
		case !errors.Is(err, metastore.ErrNotFound):
			return err
		}
		if err := tx.Put(key, encode(part)); err != nil {
			return err
		}
		return p.put(tx)
	})
	if err == nil && replaced {
		s.collector.wake()
	}
	return err
}

func (p *partRecord) info(number int, a checksum.Algorithm, enc storedEncryption) PartInfo {
	e := partEntry{Number: number, Size: p.Size, MD5: p.MD5, Checksum: p.Checksum, ModTime: p.ModTime}
	return e.info(a, enc)
}

func (e *partEntry) info(a checksum.Algorithm, enc storedEncryption) PartInfo {
	info := PartInfo{
		Number: e.Number, Size: e.Size, ETag: etagOf(e.MD5), ModTime: time.Unix(0, e.ModTime).UTC(),
		Encryption: enc.public(),
	}
	if e.Checksum != nil {
		info.Checksum = Checksum{Algorithm: a, Type: checksum.FullObject, Value: e.Checksum}
	}
	return info
}

// CopyPart stores a part that is a range of an object.
func (s *Store) CopyPart(ctx context.Context, req CopyPartRequest) (PartInfo, error) {
	u, _, err := s.findUpload(ctx, req.Bucket, req.Key, req.UploadID)
	if err != nil {
		return PartInfo{}, s.wrap("copy part", req.Bucket, req.Key, err)
	}
	r, err := s.openSource(ctx, &GetRequest{
		Bucket: req.SourceBucket, Key: req.SourceKey, VersionID: req.SourceVersionID, If: req.SourceIf, Range: req.Range,
		Customer: req.SourceCustomer,
	})
	if err != nil {
		return PartInfo{}, s.wrap("copy part", req.SourceBucket, req.SourceKey, err)
	}
	defer r.Close()
	return s.PutPart(ctx, PartRequest{
		Bucket: req.Bucket, Key: req.Key, UploadID: req.UploadID, Number: req.Number, Body: r,
		Size: r.Selection().Length, Digests: Digests{Algorithm: u.Algorithm}, Customer: req.Customer,
	})
}

// openSource opens the source of a copy. A failed condition is KindPreconditionFailed, whichever it is; a range must
// lie within the source.
func (s *Store) openSource(ctx context.Context, req *GetRequest) (*Reader, error) {
	rec, bucket, unpin, err := s.findPinned(ctx, req.Bucket, req.Key, req.VersionID)
	if err != nil {
		return nil, err
	}
	sel, err := s.chooseSource(ctx, req, rec)
	if err != nil {
		unpin()
		return nil, err
	}
	return s.open(withSubjects(ctx, Subject{Bucket: req.Bucket, Key: req.Key}), bucket, rec, sel, req.Customer, unpin)
}

func (s *Store) chooseSource(ctx context.Context, req *GetRequest, rec *record) (Selection, error) {
	if err := req.If.checkSource(rec); err != nil {
		return Selection{}, err
	}
	if req.Range != nil && req.Range.Last >= rec.Size {
		return Selection{}, errKindf(KindInvalidRange, "the source has %d bytes", rec.Size)
	}
	unconditional := *req
	unconditional.If = ReadConditions{}
	return s.choose(ctx, &unconditional, rec)
}

// ListParts returns one page of an upload's parts.
func (s *Store) ListParts(ctx context.Context, req ListPartsRequest) (ListPartsResult, error) {
	var out ListPartsResult
	u, place, err := s.findUpload(ctx, req.Bucket, req.Key, req.UploadID)
	if err != nil {
		return out, s.wrap("list parts", req.Bucket, req.Key, err)
	}
	out.Upload = u.info(req.Bucket, req.Key, place.id)
	err = s.eachPart(ctx, place.id, req.After+1, func(number int, p *partRecord) bool {
		out.More = len(out.Parts) >= req.Max
		if !out.More {
			out.Parts = append(out.Parts, p.info(number, u.Algorithm, u.Encryption))
		}
		return !out.More
	})
	return out, s.wrap("list parts", req.Bucket, req.Key, err)
}

// eachPart calls fn for the parts of an upload from a number on, in order, until it answers false.
func (s *Store) eachPart(ctx context.Context, id cipher.UploadID, from int, fn func(number int, p *partRecord) bool) error {
	if from > MaxParts {
		return nil
	}
	return s.opts.Meta.View(ctx, func(v *metastore.View) error {
		_, to := metastore.PrefixRange(partPrefix(id))
		for kv, err := range v.Scan(partKey(id, max(from, 0)), to) {
			if err != nil {
				return err
			}
			number, err := partNumber(kv.Key)
			if err != nil {
				return err
			}
			var p partRecord
			if err := decode(kv.Value, &p); err != nil {
				return err
			}
			if !fn(number, &p) {
				return nil
			}
		}
		return nil
	})
}
