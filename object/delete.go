package object

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"coffer/cipher"
)

// deleteConcurrency bounds the transactions of one DeleteMany; they share flushes.
const deleteConcurrency = 32

// Delete removes a key. Removing what does not exist succeeds.
func (s *Store) Delete(ctx context.Context, req DeleteRequest) error {
	return s.wrap("delete", req.Bucket, req.Key, s.delete(ctx, &req))
}

func (s *Store) delete(ctx context.Context, req *DeleteRequest) error {
	if err := errors.Join(ValidateKey(req.Key), validateVersionID(req.VersionID)); err != nil {
		return err
	}
	if err := s.space.admitRemoval(ctx); err != nil {
		return err
	}
	removed := false
	err := s.changeNames(ctx, req.Bucket, cipher.BucketID{}, func(names *nameWriter) error {
		removed = false
		if req.VersionID != "" && req.VersionID != NullVersion {
			return nil
		}
		current, err := names.current(req.Key)
		if err != nil || current == nil {
			return err
		}
		if err := req.If.check(current); err != nil {
			return err
		}
		removed = true
		return names.remove(req.Key, current)
	})
	if err == nil && removed {
		s.collector.wake()
	}
	return err
}

// DeleteMany removes several keys of one bucket, each on its own. It returns one error for each, nil where it
// succeeded.
func (s *Store) DeleteMany(ctx context.Context, bucket string, reqs []DeleteRequest) []error {
	errs := make([]error, len(reqs))
	if _, err := s.bucket(ctx, bucket); err != nil {
		for i := range errs {
			errs[i] = s.wrap("delete", bucket, reqs[i].Key, err)
		}
		return errs
	}
	var g errgroup.Group
	g.SetLimit(deleteConcurrency)
	for i, req := range reqs {
		req.Bucket = bucket
		g.Go(func() error {
			errs[i] = s.Delete(ctx, req)
			return nil
		})
	}
	_ = g.Wait() // the functions return nil
	return errs
}
