package object

import (
	"context"
	"errors"

	"coffer/cipher"
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
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	plan, err := s.planSealing(ctx, req.Bucket, req.Key, b, &req.Sealing)
	if err != nil {
		return nil, err
	}
	defer plan.done()
	source, sourceBucket, unpin, err := s.findPinned(ctx, req.SourceBucket, req.SourceKey, req.SourceVersionID)
	if err == nil {
		defer unpin()
		err = s.checkCopySource(ctx, req, sourceBucket, source)
	}
	if err != nil {
		return nil, s.wrap("copy", req.SourceBucket, req.SourceKey, err)
	}
	c := &copying{req: req, bucket: b, plan: plan, source: source, sourceBucket: sourceBucket}
	switch {
	case c.isSelf() && req.Meta == nil && req.Sealing.isZero() && c.keepsChecksum():
		return nil, errKindf(KindInvalidRequest, "a copy onto itself must change something")
	case c.isSelf() && c.keepsChecksum() && c.keepsSealing():
		return s.copyOntoItself(ctx, c)
	case c.isSelf() && c.keepsChecksum() && c.changesCustomerKey():
		return s.copyOntoItself(ctx, c)
	case source.Size > MaxPutSize:
		return nil, errKindf(KindInvalidRequest, "the source has %d bytes, a copy at most %d", source.Size, int64(MaxPutSize))
	case c.keepsChecksum() && c.mayShare():
		r, err := s.copyShared(ctx, c)
		if !errors.Is(err, errSourceChanged) {
			return r, err
		}
	}
	return s.copyBytes(ctx, c)
}

// checkCopySource evaluates the conditions on the source and whether its client's key, if it needs one, is there.
func (s *Store) checkCopySource(ctx context.Context, req *CopyRequest, bucket cipher.BucketID, source *record) error {
	if err := req.SourceIf.checkSource(source); err != nil {
		return err
	}
	return s.checkCustomer(ctx, bucket, source, req.SourceCustomer)
}

// copying is a copy with what was found out for it.
type copying struct {
	req          *CopyRequest
	bucket       *bucketRecord // of the copy
	plan         *sealingPlan
	source       *record
	sourceBucket cipher.BucketID
}

func (c *copying) isSelf() bool {
	return c.sourceBucket == c.bucket.ID && c.req.SourceKey == c.req.Key
}

func (c *copying) keepsChecksum() bool {
	return c.req.Algorithm == 0 || c.req.Algorithm == c.source.Checksum.Algorithm
}

// keepsSealing reports whether a copy onto itself leaves the encryption as it is: nothing was asked for, and the
// bucket's default is what the object has.
func (c *copying) keepsSealing() bool {
	e := c.source.Encryption.public()
	return c.req.Sealing.isZero() && e.Mode == c.plan.mode && e.KeyID == c.plan.stored().KeyID
}

// changesCustomerKey reports whether an SSE-C object gets another key of the client and nothing else.
func (c *copying) changesCustomerKey() bool {
	return c.source.Encryption.Mode == cipher.ModeSSEC && c.plan.mode == cipher.ModeSSEC
}

// meta is the metadata that the copy gets.
func (c *copying) meta() metadata {
	if c.req.Meta != nil {
		return c.req.Meta.stored()
	}
	return c.source.Meta
}

// mayShare reports whether the copy may share the source's body under the same DataKey: mode, backend and MasterKey are
// the same, and the bucket's KEK where it is one; and the entity tag is one that a copy may have. So destroying a key
// never says anything about the copy that the source did not.
func (c *copying) mayShare() bool {
	source, p := c.source, c.plan
	if source.Parts.Count != 0 || len(source.Keys) != 1 || source.Body.IsZero() || p.mode == cipher.ModeSSEC {
		return false
	}
	var sealed cipher.SealedKey
	if err := sealed.UnmarshalBinary(source.Keys[0]); err != nil || sealed.Mode != p.mode || sealed.Instance != p.ref.Instance {
		return false
	}
	if p.bucketKey {
		keyID := p.stored().KeyID
		return c.sourceBucket == c.bucket.ID && sealed.Generation != 0 && sealed.Generation == c.bucket.generation(keyID)
	}
	return sealed.Generation == 0 && source.Encryption.KeyID == p.ref.KeyID
}

// copyOntoItself replaces metadata and SealedKey of a version, and keeps everything else.
func (s *Store) copyOntoItself(ctx context.Context, c *copying) (*record, error) {
	r := *c.source
	r.Meta = c.meta()
	if c.plan.mode == cipher.ModeSSEC {
		var err error
		if r.Keys, err = s.reseal(ctx, c, r.Object); err != nil {
			return nil, err
		}
	}
	return &r, s.changeNames(ctx, c.req.Bucket, c.bucket.ID, func(names *nameWriter) error {
		current, err := names.current(c.req.Key)
		if err != nil {
			return err
		}
		if current == nil || current.Object != c.source.Object || current.ModTime != c.source.ModTime {
			return errKindf(KindOperationAborted, "the object changed while it was copied")
		}
		if err := c.req.If.check(current); err != nil {
			return err
		}
		if c.plan.mode != cipher.ModeSSEC { // a rewrap may have been there meanwhile
			r.Keys, r.Encryption = current.Keys, current.Encryption
		}
		r.ModTime = s.modTime(current)
		return names.put(c.req.Key, &r)
	})
}

// reseal seals the source's DataKeys as the copy wants them, for the object that has them then.
func (s *Store) reseal(ctx context.Context, c *copying, object cipher.ObjectID) ([][]byte, error) {
	source := withSubjects(ctx, Subject{Bucket: c.req.SourceBucket, Key: c.req.SourceKey})
	keys, err := s.openKeys(source, c.sourceBucket, c.source, c.req.SourceCustomer)
	if err != nil {
		return nil, err
	}
	sealed := make([][]byte, len(keys))
	for i, key := range keys {
		if err == nil {
			sealed[i], err = s.keys.sealKey(ctx, c.req.Bucket, c.bucket, object, c.plan, key)
		}
		key.Wipe()
	}
	return sealed, err
}

// errSourceChanged says that a source was replaced before its body could be shared.
var errSourceChanged = errors.New("source changed")

// copyShared makes a record of its own for the source's body.
func (s *Store) copyShared(ctx context.Context, c *copying) (*record, error) {
	source := c.source
	r := &record{
		Object: cipher.NewObjectID(), Size: source.Size, ETag: source.ETag, Checksum: source.Checksum, Body: source.Body,
		Meta: c.meta(), Encryption: c.plan.stored(),
	}
	if !r.Encryption.wantsMD5() {
		r.ETag = etagOf(randomMD5())
	}
	var err error
	if r.Keys, err = s.reseal(ctx, c, r.Object); err != nil {
		return nil, err
	}
	return r, s.publish(ctx, c.req.Bucket, c.bucket.ID, c.req.Key, r, c.req.If, func(tx *change) error {
		names, err := namesForUpdate(tx, c.req.SourceBucket, c.sourceBucket)
		if err != nil {
			return err
		}
		now, err := names.source(c.req.SourceKey)
		if err != nil {
			return err
		}
		if now == nil || now.Body.ID != source.Body.ID {
			return errSourceChanged
		}
		count, lent, err := bodyCount(tx.GetForUpdate, source.Body.ID)
		if err != nil {
			return err
		}
		return putBodyCount(tx.Tx, source.Body.ID, count+1, lent)
	})
}

// copyBytes opens the source and seals it under a fresh DataKey.
func (s *Store) copyBytes(ctx context.Context, c *copying) (*record, error) {
	req := c.req
	in, err := s.openSource(ctx, &GetRequest{
		Bucket: req.SourceBucket, Key: req.SourceKey, VersionID: req.SourceVersionID, If: req.SourceIf, Customer: req.SourceCustomer,
	})
	if err != nil {
		return nil, s.wrap("copy", req.SourceBucket, req.SourceKey, err)
	}
	defer in.Close()
	info := in.Selection().Info
	algorithm := orDefault(req.Algorithm, info.Checksum.Algorithm)
	meta := info.Meta
	if req.Meta != nil {
		meta = *req.Meta
	}
	return s.put(ctx, &PutRequest{
		Bucket: req.Bucket, Key: req.Key, Body: in, Size: info.Size, Meta: meta, Digests: Digests{Algorithm: algorithm}, If: req.If,
		Sealing: req.Sealing,
	})
}
