package object

import (
	"context"
	"errors"

	"coffer/cipher"
	"coffer/metastore"
)

// Copy copies one version. It takes the cheapest of three ways that is right: onto itself, only metadata changes;
// within a bucket, the copy shares the source's body under a DataKey sealed anew; else the bytes are opened and sealed
// under a fresh DataKey.
func (s *Store) Copy(ctx context.Context, req CopyRequest) (ObjectInfo, error) {
	r, err := s.copy(ctx, &req)
	if err != nil {
		return ObjectInfo{}, s.wrap("copy", req.Bucket, req.Key, err)
	}
	return r.info(req.Bucket, req.Key), nil
}

func (s *Store) copy(ctx context.Context, req *CopyRequest) (*record, error) {
	meta := &Metadata{}
	if req.Meta != nil {
		meta = req.Meta
	}
	b, err := s.prepareWrite(ctx, req.Bucket, req.Key, meta, req.If)
	if err != nil {
		return nil, err
	}
	source, sourceBucket, unpin, err := s.findPinned(ctx, req.SourceBucket, req.SourceKey, req.SourceVersionID)
	if err != nil {
		return nil, s.wrap("copy", req.SourceBucket, req.SourceKey, err)
	}
	defer unpin()
	if err := req.SourceIf.checkSource(source); err != nil {
		return nil, s.wrap("copy", req.SourceBucket, req.SourceKey, err)
	}
	self := sourceBucket == b.ID && req.SourceKey == req.Key
	sameChecksum := req.Algorithm == 0 || req.Algorithm == source.Checksum.Algorithm
	switch {
	case self && req.Meta == nil && sameChecksum:
		return nil, errKindf(KindInvalidRequest, "a copy onto itself must change something")
	case self && sameChecksum:
		return s.copyOntoItself(ctx, req, b.ID, source)
	case source.Size > MaxPutSize:
		return nil, errKindf(KindInvalidRequest, "the source has %d bytes, a copy at most %d", source.Size, int64(MaxPutSize))
	case sourceBucket == b.ID && sameChecksum && s.mayShare(source, b):
		r, err := s.copyShared(ctx, req, b, source)
		if !errors.Is(err, errSourceChanged) {
			return r, err
		}
	}
	return s.copyBytes(ctx, req, b)
}

// copyMeta is the metadata that the copy gets.
func (req *CopyRequest) copyMeta(source *record) metadata {
	if req.Meta != nil {
		return req.Meta.stored()
	}
	return source.Meta
}

// copyOntoItself replaces the metadata of a version and keeps everything else.
func (s *Store) copyOntoItself(ctx context.Context, req *CopyRequest, bucket cipher.BucketID, source *record) (*record, error) {
	r := *source
	r.Meta = req.Meta.stored()
	return &r, s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		b, err := bucketForUpdate(tx, req.Bucket)
		if err != nil {
			return err
		}
		current, err := readName(tx.GetForUpdate, bucket, req.Key)
		if err != nil {
			return err
		}
		if b.ID != bucket || current == nil || current.Object != source.Object || current.ModTime != source.ModTime {
			return errKindf(KindOperationAborted, "the object changed while it was copied")
		}
		if err := req.If.check(current); err != nil {
			return err
		}
		r.ModTime = s.modTime(current)
		return s.putRecord(tx, bucket, req.Key, &r)
	})
}

// errSourceChanged says that a source was replaced before its body could be shared.
var errSourceChanged = errors.New("source changed")

// mayShare reports whether a copy within the bucket may share the source's body: its key was sealed under the KEK that
// the bucket issues now, and its entity tag is the MD5 that a copy has.
func (s *Store) mayShare(source *record, b *bucketRecord) bool {
	if source.Parts.Count != 0 || len(source.Keys) != 1 || source.Body.IsZero() {
		return false
	}
	var sealed cipher.SealedKey
	err := sealed.UnmarshalBinary(source.Keys[0])
	return err == nil && sealed.Mode == cipher.ModeSSES3 && sealed.Generation == b.Generation
}

// copyShared makes a record of its own for the source's body.
func (s *Store) copyShared(ctx context.Context, req *CopyRequest, b *bucketRecord, source *record) (*record, error) {
	key, err := s.keys.openKey(ctx, b.ID, source.Object, source.Keys[0])
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	r := &record{
		Object: cipher.NewObjectID(), Size: source.Size, ETag: source.ETag, Checksum: source.Checksum, Body: source.Body,
		Meta: req.copyMeta(source),
	}
	sealed, err := s.keys.sealKey(ctx, req.Bucket, b, r.Object, key)
	if err != nil {
		return nil, err
	}
	r.Keys = [][]byte{sealed}
	return r, s.publish(ctx, req.Bucket, b.ID, req.Key, r, req.If, func(tx *metastore.Tx) error {
		now, err := readName(tx.GetForUpdate, b.ID, req.SourceKey)
		if err != nil {
			return err
		}
		if now == nil || now.Body.ID != source.Body.ID {
			return errSourceChanged
		}
		count, err := bodyCount(tx, source.Body.ID)
		if err != nil {
			return err
		}
		return putBodyCount(tx, source.Body.ID, count+1)
	})
}

// copyBytes opens the source and seals it under a fresh DataKey.
func (s *Store) copyBytes(ctx context.Context, req *CopyRequest, b *bucketRecord) (*record, error) {
	rec, bucket, unpin, err := s.findPinned(ctx, req.SourceBucket, req.SourceKey, req.SourceVersionID)
	if err != nil {
		return nil, err
	}
	if err := req.SourceIf.checkSource(rec); err != nil {
		unpin()
		return nil, err
	}
	in, err := s.open(ctx, bucket, rec, Selection{Info: rec.info(req.SourceBucket, req.SourceKey), Length: rec.Size}, unpin)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	algorithm := req.Algorithm
	if algorithm == 0 {
		algorithm = rec.Checksum.Algorithm
	}
	meta := req.copyMeta(rec)
	return s.put(ctx, &PutRequest{
		Bucket: req.Bucket, Key: req.Key, Body: in, Size: rec.Size, Meta: meta.public(), Digests: Digests{Algorithm: algorithm},
		If: req.If,
	})
}
