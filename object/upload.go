package object

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/object/checksum"
)

// CreateUpload begins a multipart upload. Its DataKey is made now and seals every part.
func (s *Store) CreateUpload(ctx context.Context, req UploadRequest) (UploadInfo, error) {
	u, id, err := s.createUpload(ctx, &req)
	if err != nil {
		return UploadInfo{}, s.wrap("create upload", req.Bucket, req.Key, err)
	}
	return u.info(req.Bucket, req.Key, id), nil
}

func (s *Store) createUpload(ctx context.Context, req *UploadRequest) (*uploadRecord, cipher.UploadID, error) {
	id := s.newUploadID()
	if req.Type == 0 && req.Algorithm != 0 {
		req.Type = req.Algorithm.DefaultType()
	}
	if req.Algorithm != 0 && !req.Algorithm.Supports(req.Type) {
		return nil, id, errKindf(KindInvalidRequest, "%s has no checksum of type %s", req.Algorithm, req.Type)
	}
	b, err := s.prepareWrite(ctx, req.Bucket, req.Key, &req.Meta, WriteConditions{})
	if err != nil {
		return nil, id, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, id, err
	}
	plan, err := s.planSealing(ctx, req.Bucket, req.Key, b, &req.Sealing)
	if err != nil {
		return nil, id, err
	}
	defer plan.done()
	u := &uploadRecord{
		Format: recordFormat, Object: cipher.NewObjectID(), Initiated: s.opts.Now().UnixNano(), Meta: req.Meta.stored(),
		Algorithm: req.Algorithm, Type: req.Type, Encryption: plan.stored(),
	}
	key, sealed, err := s.keys.seal(ctx, req.Bucket, b, u.Object, plan)
	if err != nil {
		return nil, id, err
	}
	key.Wipe()
	keys := [][]byte{sealed}
	return u, id, s.aboveFloors(ctx, keys, func() error {
		u.Key = keys[0]
		return s.publishUpload(ctx, req, u, &uploadPlace{bucket: b.ID, key: req.Key, id: id})
	})
}

// publishUpload records a new upload.
func (s *Store) publishUpload(ctx context.Context, req *UploadRequest, u *uploadRecord, place *uploadPlace) error {
	value := encode(u)
	if len(value) > maxUploadBytes {
		return errKindf(KindMetadataTooLarge, "upload of %d bytes, at most %d", len(value), maxUploadBytes)
	}
	return s.update(ctx, func(tx *change) error {
		now, err := bucketForUpdate(tx.Tx, req.Bucket)
		if err != nil {
			return err
		}
		if now.ID != place.bucket {
			return errKind(KindNoSuchBucket)
		}
		if err := tx.uploadKey(place.bucket, nil, u.Key); err != nil {
			return err
		}
		return tx.Put(place.metaKey(), value)
	})
}

// newUploadID begins with the time in milliseconds, so that uploads of one key list in the order of their initiation.
func (s *Store) newUploadID() cipher.UploadID {
	id := cipher.NewUploadID()
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(s.opts.Now().UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

func (u *uploadRecord) info(bucket, key string, id cipher.UploadID) UploadInfo {
	return UploadInfo{
		Bucket: bucket, Key: key, UploadID: id.String(), Initiated: time.Unix(0, u.Initiated).UTC(), Meta: u.Meta.public(),
		Checksum: Checksum{Algorithm: u.Algorithm, Type: u.Type}, Encryption: u.Encryption.public(),
	}
}

// uploadPlace is where an upload lies.
type uploadPlace struct {
	bucket cipher.BucketID
	key    string
	id     cipher.UploadID
}

func (p *uploadPlace) metaKey() []byte { return uploadKey(p.bucket, p.key, p.id) }

// findUpload reads an upload.
func (s *Store) findUpload(ctx context.Context, bucket, key, uploadID string) (*uploadRecord, uploadPlace, error) {
	place := uploadPlace{key: key}
	if err := ValidateKey(key); err != nil {
		return nil, place, err
	}
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil, place, err
	}
	place.bucket = b.ID
	if place.id, err = cipher.ParseUploadID(uploadID); err != nil {
		return nil, place, errKind(KindNoSuchUpload)
	}
	var u *uploadRecord
	err = s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		u, err = readUpload(v.Get, &place)
		return err
	})
	return u, place, err
}

func readUpload(get func([]byte) ([]byte, error), p *uploadPlace) (*uploadRecord, error) {
	value, err := get(p.metaKey())
	if errors.Is(err, metastore.ErrNotFound) {
		return nil, errKind(KindNoSuchUpload)
	}
	if err != nil {
		return nil, err
	}
	var u uploadRecord
	return &u, decode(value, &u)
}

// AbortUpload gives up an upload and removes its parts.
func (s *Store) AbortUpload(ctx context.Context, bucket, key, uploadID string) error {
	_, place, err := s.findUpload(ctx, bucket, key, uploadID)
	if err == nil {
		err = s.abortUpload(ctx, &place)
	}
	return s.wrap("abort upload", bucket, key, err)
}

func (s *Store) abortUpload(ctx context.Context, place *uploadPlace) error {
	if err := s.space.admitRemoval(ctx); err != nil {
		return err
	}
	err := s.update(ctx, func(tx *change) error {
		u, err := readUpload(tx.GetForUpdate, place)
		if err != nil {
			return err
		}
		if err := queueUploadRemoval(tx.Tx, place.id, nil); err != nil {
			return err
		}
		if err := tx.uploadKey(place.bucket, u.Key, nil); err != nil {
			return err
		}
		return tx.Delete(place.metaKey())
	})
	if err == nil {
		s.collector.wake()
	}
	return err
}

// abortUploads gives up every upload of a bucket.
func (s *Store) abortUploads(ctx context.Context, b *bucketRecord) error {
	for {
		var places []uploadPlace
		err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
			from, to := metastore.PrefixRange(uploadKeyPrefix(b.ID, ""))
			for kv, err := range v.Scan(from, to) {
				if err != nil {
					return err
				}
				key, id, err := parseUploadKey(kv.Key)
				if err != nil {
					return errKindf(KindCorrupt, "%w", err)
				}
				if places = append(places, uploadPlace{bucket: b.ID, key: key, id: id}); len(places) == MaxListKeys {
					break
				}
			}
			return nil
		})
		if err != nil || len(places) == 0 {
			return err
		}
		for i := range places {
			if err := s.abortUpload(ctx, &places[i]); err != nil && faultKind(err) != KindNoSuchUpload {
				return err
			}
		}
	}
}

// ListUploads returns one page of the uploads in progress.
func (s *Store) ListUploads(ctx context.Context, req ListUploadsRequest) (ListUploadsResult, error) {
	var out ListUploadsResult
	err := s.listUploads(ctx, &req, &out)
	return out, s.wrap("list uploads", req.Bucket, "", err)
}

func (s *Store) listUploads(ctx context.Context, req *ListUploadsRequest, out *ListUploadsResult) error {
	if req.Max < 0 || req.Max > MaxListKeys {
		return errKindf(KindInvalidArgument, "0 to %d uploads a page", MaxListKeys)
	}
	return s.opts.Meta.View(ctx, func(v *metastore.View) error {
		b, err := readBucket(v.Get, req.Bucket)
		if err != nil || req.Max == 0 {
			return err
		}
		f := folder{prefix: req.Prefix, delimiter: req.Delimiter, max: req.Max}
		uploads := uploadsOf(v, b)
		err = f.scan(uploads, uploads.afterUpload(b, req), func(key string, kv metastore.KV) error {
			_, id, err := parseUploadKey(kv.Key)
			if err != nil {
				return err
			}
			var u uploadRecord
			if err := decode(kv.Value, &u); err != nil {
				return err
			}
			out.Uploads = append(out.Uploads, u.info(req.Bucket, key, id))
			out.NextID = id.String()
			return nil
		})
		out.Prefixes, out.More, out.Next = f.prefixes, f.more, f.last
		if out.Next.Folded {
			out.NextID = ""
		}
		return err
	})
}

func uploadsOf(v *metastore.View, b *bucketRecord) namespace {
	return namespace{
		scan: v.Scan,
		join: func(prefix string) []byte { return uploadKeyPrefix(b.ID, prefix) },
		name: func(metaKey []byte) (string, error) {
			key, _, err := parseUploadKey(metaKey)
			if err != nil {
				return "", errKindf(KindCorrupt, "%w", err)
			}
			return key, nil
		},
	}
}

// afterUpload is where a scan of uploads goes on: behind one upload of a key, or behind all of them.
func (n namespace) afterUpload(b *bucketRecord, req *ListUploadsRequest) []byte {
	if req.After.Folded || req.After.Key == "" {
		return n.after(req.After)
	}
	if id, err := cipher.ParseUploadID(req.AfterID); err == nil {
		return append(uploadKey(b.ID, req.After.Key, id), 0)
	}
	return append(n.join(req.After.Key), escapeByte, escapedEnding+1)
}

// checkPartChecksum refuses a part whose checksum is not the one that the upload was begun with.
func (u *uploadRecord) checkPartChecksum(a checksum.Algorithm) error {
	if u.Algorithm != 0 && a != u.Algorithm {
		return errKindf(KindInvalidRequest, "the upload was begun with %s, the part has %q", u.Algorithm, a.String())
	}
	return nil
}
