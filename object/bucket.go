package object

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"coffer/cipher"
	"coffer/metastore"
)

// ValidateBucketName applies the rules of
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html for general purpose buckets.
func ValidateBucketName(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return errKindf(KindInvalidBucketName, "%d characters, not 3 to 63", len(name))
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return errKindf(KindInvalidBucketName, "only lower-case letters, digits, '-' and '.' are allowed")
		}
	}
	edges := []byte{name[0], name[len(name)-1]}
	if strings.ContainsAny(string(edges), "-.") || strings.Contains(name, "..") {
		return errKindf(KindInvalidBucketName, "it must begin and end with a letter or digit, and not have two periods in a row")
	}
	if addr, err := netip.ParseAddr(name); err == nil && addr.Is4() {
		return errKindf(KindInvalidBucketName, "it must not look like an IP address")
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return errKindf(KindInvalidBucketName, "the prefix %s is reserved", prefix)
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return errKindf(KindInvalidBucketName, "the suffix %s is reserved", suffix)
		}
	}
	return nil
}

// ValidateKey refuses keys that S3 refuses: empty ones and those over MaxKeyBytes. Every other string is a key.
func ValidateKey(key string) error {
	if key == "" {
		return errKindf(KindInvalidArgument, "a key must not be empty")
	}
	if len(key) > MaxKeyBytes {
		return errKindf(KindKeyTooLong, "%d bytes, at most %d", len(key), MaxKeyBytes)
	}
	return nil
}

func (b *bucketRecord) info(name string) BucketInfo {
	return BucketInfo{Name: name, Created: time.Unix(0, b.Created).UTC()}
}

// CreateBucket makes a bucket with its first KEK.
func (s *Store) CreateBucket(ctx context.Context, name string) (BucketInfo, error) {
	b, err := s.createBucket(ctx, name)
	if err != nil {
		return BucketInfo{}, s.wrap("create bucket", name, "", err)
	}
	s.watchers.publish(ctx, name, []Change{{Kind: BucketCreated}})
	return b.info(name), nil
}

func (s *Store) createBucket(ctx context.Context, name string) (*bucketRecord, error) {
	if err := ValidateBucketName(name); err != nil {
		return nil, err
	}
	if _, err := s.bucket(ctx, name); err == nil {
		return nil, errKind(KindBucketExists)
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	b := &bucketRecord{Format: recordFormat, ID: cipher.NewBucketID(), Created: s.opts.Now().UnixNano(), Generation: 1}
	return b, s.keys.buckets.addGenerated(ctx, name, cipher.ModeSSES3, "", func(tx *change, kek *kekRecord) error {
		switch _, err := tx.GetForUpdate(bucketKey(name)); {
		case err == nil:
			return errKind(KindBucketExists)
		case !errors.Is(err, metastore.ErrNotFound):
			return err
		}
		if err := tx.Put(bucketKey(name), encode(b)); err != nil {
			return err
		}
		return tx.Put(kekKey(b.ID, b.Generation), encode(kek))
	})
}

// HeadBucket describes a bucket.
func (s *Store) HeadBucket(ctx context.Context, name string) (BucketInfo, error) {
	b, err := s.bucket(ctx, name)
	if err != nil {
		return BucketInfo{}, s.wrap("head bucket", name, "", err)
	}
	return b.info(name), nil
}

// ListBuckets lists every bucket in ascending order of names.
func (s *Store) ListBuckets(ctx context.Context) ([]BucketInfo, error) {
	var infos []BucketInfo
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		from, to := metastore.PrefixRange([]byte{tagBucket})
		for kv, err := range v.Scan(from, to) {
			if err != nil {
				return err
			}
			var b bucketRecord
			if err := decode(kv.Value, &b); err != nil {
				return err
			}
			infos = append(infos, b.info(string(kv.Key[1:])))
		}
		return nil
	})
	return infos, s.wrap("list buckets", "", "", err)
}

// bucket reads a bucket.
func (s *Store) bucket(ctx context.Context, name string) (*bucketRecord, error) {
	var b *bucketRecord
	err := s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		b, err = readBucket(v.Get, name)
		return err
	})
	return b, err
}

// bucketForUpdate reads a bucket within a write of one of its objects. A bucket that is being deleted conflicts.
func bucketForUpdate(tx *metastore.Tx, name string) (*bucketRecord, error) {
	b, err := readBucket(tx.GetForUpdate, name)
	if err == nil && !b.Deleting.IsZero() {
		return nil, errKindf(KindOperationAborted, "the bucket is being deleted")
	}
	return b, err
}

func readBucket(get func([]byte) ([]byte, error), name string) (*bucketRecord, error) {
	value, err := get(bucketKey(name))
	if errors.Is(err, metastore.ErrNotFound) || errors.Is(err, metastore.ErrLimit) {
		return nil, errKind(KindNoSuchBucket)
	}
	if err != nil {
		return nil, err
	}
	var b bucketRecord
	return &b, decode(value, &b)
}

// DeleteBucket removes an empty bucket; its uploads in progress are aborted. It marks the bucket first, which makes
// every write to it fail or conflict, then looks whether it is empty, and deletes or unmarks it.
func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	err := s.deleteBucket(ctx, name)
	if err == nil {
		s.watchers.publish(ctx, name, []Change{{Kind: BucketRemoved}})
	}
	return s.wrap("delete bucket", name, "", err)
}

func (s *Store) deleteBucket(ctx context.Context, name string) error {
	if err := s.space.admitRemoval(ctx); err != nil {
		return err
	}
	b, err := s.markBucket(ctx, name, s.run)
	if err != nil {
		return err
	}
	err = s.opts.Meta.View(ctx, func(v *metastore.View) error {
		from, to := metastore.PrefixRange(nameKey(b.ID, ""))
		for _, err := range v.Scan(from, to) {
			if err != nil {
				return err
			}
			return errKind(KindBucketNotEmpty)
		}
		return nil
	})
	if err == nil {
		err = s.abortUploads(ctx, b)
	}
	if err == nil {
		err = s.dropBucket(ctx, name, b)
	}
	if err != nil && !leavesOutcomeOpen(err) {
		_, unmarkErr := s.markBucket(context.WithoutCancel(ctx), name, cipher.RunID{})
		err = errors.Join(err, unmarkErr)
	}
	return err
}

// markBucket sets or clears the mark of a deletion.
func (s *Store) markBucket(ctx context.Context, name string, run cipher.RunID) (*bucketRecord, error) {
	var b *bucketRecord
	err := s.opts.Meta.Update(ctx, func(tx *metastore.Tx) (err error) {
		if b, err = readBucket(tx.GetForUpdate, name); err != nil {
			return err
		}
		if !run.IsZero() && !b.Deleting.IsZero() {
			return errKindf(KindOperationAborted, "the bucket is being deleted")
		}
		b.Deleting = run
		return tx.Put(bucketKey(name), encode(b))
	})
	return b, err
}

// dropBucket removes the record and the KEKs of a marked, empty bucket.
func (s *Store) dropBucket(ctx context.Context, name string, b *bucketRecord) error {
	err := s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		if _, err := tx.GetForUpdate(bucketKey(name)); err != nil {
			return err
		}
		last := max(b.Last, b.Generation)
		for generation := last; generation > 0 && last-generation < maxDroppedKEKs; generation-- {
			if err := tx.Delete(kekKey(b.ID, generation)); err != nil {
				return err
			}
		}
		if err := tx.Delete(timesKey(b.ID, "")); err != nil {
			return err
		}
		if last > maxDroppedKEKs {
			if err := tx.Put(queueKey(queueKEKs, b.ID), encode(&removal{Format: recordFormat, Bucket: b.ID})); err != nil {
				return err
			}
		}
		if err := tx.Delete(jobKeyOf(b.ID)); err != nil {
			return err
		}
		return tx.Delete(bucketKey(name))
	})
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	s.keys.buckets.forget(b.ID)
	s.collector.wake()
	return nil
}

// maxDroppedKEKs keeps the deletion of a bucket within one transaction; the collector removes older generations.
const maxDroppedKEKs = 64
