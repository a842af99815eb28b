package object

import (
	"context"
	"time"

	"coffer/cipher"
	"coffer/metastore"
)

// Put stores one object. A nil error means that it is durable and that it is what the key names.
func (s *Store) Put(ctx context.Context, req PutRequest) (ObjectInfo, error) {
	r, err := s.put(ctx, &req)
	if err != nil {
		return ObjectInfo{}, s.wrap("put", req.Bucket, req.Key, err)
	}
	return r.info(req.Bucket, req.Key), nil
}

func (s *Store) put(ctx context.Context, req *PutRequest) (*record, error) {
	b, err := s.prepareWrite(ctx, req.Bucket, req.Key, &req.Meta, req.If)
	if err != nil {
		return nil, err
	}
	plan, err := s.planSealing(ctx, req.Bucket, req.Key, b, &req.Sealing)
	if err != nil {
		return nil, err
	}
	defer plan.done()
	r, work := &record{Object: cipher.NewObjectID(), Meta: req.Meta.stored(), Encryption: plan.stored()}, s.sealer(plan.mode)
	key, sealed, err := s.keys.seal(ctx, req.Bucket, b, r.Object, plan)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	p, err := s.receive(ctx, key, &incoming{
		src: req.Body, size: req.Size, limit: MaxPutSize, unproven: req.Unproven, want: req.Digests, work: work,
		tagMD5: r.Encryption.wantsMD5(),
	})
	if err != nil {
		return nil, err
	}
	r.setBody(p, sealed)
	r.Checksum = fullChecksum(req.Digests.Algorithm, p.digests.sum)
	if err := s.publish(ctx, req.Bucket, b.ID, req.Key, r, req.If, p.put); err != nil {
		s.abandon(ctx, p, err)
		return nil, err
	}
	return r, nil
}

// setBody makes p the body of a record that was not a multipart upload.
func (r *record) setBody(p *pendingBody, sealedKey []byte) {
	r.Size, r.Body, r.Keys = p.size, p.body, [][]byte{sealedKey}
	r.ETag = etagOf(p.tag(r.Encryption))
}

// prepareWrite checks what can be checked before a body is read, and returns the bucket.
func (s *Store) prepareWrite(ctx context.Context, bucket, key string, meta *Metadata, cond WriteConditions) (*bucketRecord, error) {
	if err := ValidateKey(key); err != nil {
		return nil, err
	}
	if err := meta.validate(); err != nil {
		return nil, err
	}
	var b *bucketRecord
	err := s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		if b, err = readBucket(v.Get, bucket); err != nil {
			return err
		}
		if cond == (WriteConditions{}) {
			return nil
		}
		current, err := readName(v.Get, b, key)
		if err != nil {
			return err
		}
		return cond.check(current)
	})
	return b, err
}

// publish names a record and its body in one transaction, if the conditions hold, and queues what it replaces. also
// writes what else belongs to the change.
func (s *Store) publish(ctx context.Context, bucket string, id cipher.BucketID, key string, r *record, cond WriteConditions, also func(*change) error) error {
	inode, err := s.inodes.take(ctx)
	if err != nil {
		return err
	}
	r.Format, r.Kind, r.Inode = recordFormat, kindObject, inode
	replaced := false
	err = s.aboveFloors(ctx, r.Keys, func() error {
		return s.changeNames(ctx, bucket, id, func(names *nameWriter) error {
			current, err := names.current(key)
			if err != nil {
				return err
			}
			if err := cond.check(current); err != nil {
				return err
			}
			r.ModTime = s.modTime(current)
			if isDirectory(key) {
				names.keepDirectory(key, current, r)
			}
			if err := names.replace(key, current, r); err != nil {
				return err
			}
			replaced = current != nil
			return also(names.tx)
		})
	})
	if err == nil && replaced {
		s.collector.wake()
	}
	return err
}

// modTime is now, and later than the version it replaces even when the clock went back.
func (s *Store) modTime(current *record) int64 {
	now := s.opts.Now().UnixNano()
	if current != nil && now <= current.ModTime {
		return current.ModTime + 1
	}
	return now
}

// validate applies S3's limit on user metadata: the sum of the bytes of names and values.
func (m *Metadata) validate() error {
	total := 0
	for name, value := range m.User {
		total += len(name) + len(value)
	}
	if total > MaxUserMetadata {
		return errKindf(KindMetadataTooLarge, "%d bytes, at most %d", total, MaxUserMetadata)
	}
	return nil
}

func (m *Metadata) stored() metadata {
	return metadata{
		ContentType: m.ContentType, CacheControl: m.CacheControl, ContentDisposition: m.ContentDisposition,
		ContentEncoding: m.ContentEncoding, ContentLanguage: m.ContentLanguage, Expires: m.Expires,
		WebsiteRedirect: m.WebsiteRedirect, StorageClass: m.StorageClass, User: m.User,
	}
}

func (m *metadata) public() Metadata {
	return Metadata{
		ContentType: m.ContentType, CacheControl: m.CacheControl, ContentDisposition: m.ContentDisposition,
		ContentEncoding: m.ContentEncoding, ContentLanguage: m.ContentLanguage, Expires: m.Expires,
		WebsiteRedirect: m.WebsiteRedirect, StorageClass: m.StorageClass, User: m.User,
	}
}

// info is what a record tells the outside.
func (r *record) info(bucket, key string) ObjectInfo {
	info := ObjectInfo{
		Bucket: bucket, Key: key, VersionID: NullVersion, Size: r.Size, ModTime: time.Unix(0, r.ModTime).UTC(),
		ETag: r.ETag, Meta: r.Meta.public(), Checksum: r.Checksum.public(), Parts: r.Parts.Count,
		Encryption: r.Encryption.public(),
	}
	if !r.Version.IsZero() {
		info.VersionID = r.Version.String()
	}
	return info
}
