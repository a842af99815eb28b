package object

import (
	"context"

	"coffer/cipher"
	"coffer/metastore"
)

// BucketEncryption returns a bucket's default encryption. Where none was set it is SSE-S3, as in S3, and the second
// result is false.
func (s *Store) BucketEncryption(ctx context.Context, bucket string) (BucketEncryption, bool, error) {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return BucketEncryption{}, false, s.wrap("get bucket encryption", bucket, "", err)
	}
	e := BucketEncryption(b.Encryption)
	if e.Mode == 0 {
		return BucketEncryption{Mode: cipher.ModeSSES3}, false, nil
	}
	return e, true, nil
}

// SetBucketEncryption sets a bucket's default encryption. A key that is named must be one that can be used: it is asked
// for a KEK first. The zero value removes the default.
func (s *Store) SetBucketEncryption(ctx context.Context, bucket string, e BucketEncryption) error {
	return s.wrap("set bucket encryption", bucket, "", s.setBucketEncryption(ctx, bucket, e))
}

func (s *Store) setBucketEncryption(ctx context.Context, bucket string, e BucketEncryption) error {
	if err := s.space.admitChange(ctx); err != nil {
		return err
	}
	switch e.Mode {
	case 0:
		if e != (BucketEncryption{}) {
			return errKindf(KindInvalidArgument, "an encryption without a mode")
		}
	case cipher.ModeSSES3:
		if e.KeyID != "" || e.BucketKey {
			return errKindf(KindInvalidArgument, "SSE-S3 names no key")
		}
	case cipher.ModeSSEKMS:
		kek, _, err := s.keys.buckets.generate(ctx, bucket, e.Mode, e.KeyID)
		if err != nil {
			return err
		}
		kek.Wipe()
	default:
		return errKindf(KindInvalidArgument, "%v is no default encryption", e.Mode)
	}
	return s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		b, err := bucketForUpdate(tx, bucket)
		if err != nil {
			return err
		}
		b.Encryption = bucketEncryption(e)
		return tx.Put(bucketKey(bucket), encode(b))
	})
}

// BucketsEncryptedBy lists the buckets whose default encryption names a key.
func (s *Store) BucketsEncryptedBy(ctx context.Context, keyID string) ([]string, error) {
	var names []string
	err := s.scanPrefix(ctx, []byte{tagBucket}, func(kv metastore.KV) error {
		var b bucketRecord
		if err := decode(kv.Value, &b); err != nil {
			return err
		}
		if b.Encryption.Mode == cipher.ModeSSEKMS && b.Encryption.KeyID == keyID {
			names = append(names, string(kv.Key[1:]))
		}
		return nil
	})
	return names, s.wrap("list bucket encryption", "", "", err)
}
