package localdisk

import (
	"context"
	"errors"
	"io/fs"

	"coffer/chunk"
	"coffer/cipher"
)

// Remove implements chunk.Store. Every directory named is synced once, also
// where nothing was found: the call before may have unlinked and then failed.
func (s *Store) Remove(ctx context.Context, ids ...cipher.ChunkID) error {
	if err := s.enter(ctx); err != nil {
		return fail("remove", cipher.ChunkID{}, err)
	}
	defer s.leave()
	var touched [256]bool
	var errs []error
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			errs = append(errs, fail("remove", id, err))
			break
		}
		if err := s.unlink(id); err != nil {
			errs = append(errs, fail("remove", id, err))
			continue
		}
		touched[id[0]] = true
	}
	for n, t := range touched {
		if !t {
			continue
		}
		if err := s.syncDir(ctx, byte(n)); err != nil {
			errs = append(errs, fail("remove", cipher.ChunkID{}, err))
		}
	}
	return errors.Join(errs...)
}

// unlink removes the entry of a chunk; an absent one is no error.
func (s *Store) unlink(id cipher.ChunkID) error {
	if s.isBusy(id) {
		return chunk.ErrBusy
	}
	if err := s.fs.Remove(s.name(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
