package memchunk

import (
	"context"
	"iter"
	"maps"
	"slices"

	"coffer/chunk"
	"coffer/cipher"
)

// List implements chunk.Store. The ids are those of the moment it begins.
func (s *Store) List(ctx context.Context) iter.Seq2[chunk.Info, error] {
	return func(yield func(chunk.Info, error) bool) {
		ids, err := s.ids(ctx)
		if err != nil {
			yield(chunk.Info{}, fail("list", cipher.ChunkID{}, err))
			return
		}
		for _, id := range ids {
			info, ok, err := s.info(ctx, id)
			if err != nil {
				yield(chunk.Info{}, fail("list", cipher.ChunkID{}, err))
				return
			}
			if ok && !yield(info, nil) {
				return
			}
		}
	}
}

func (s *Store) ids(ctx context.Context) ([]cipher.ChunkID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(s.chunks)), nil
}

func (s *Store) info(ctx context.Context, id cipher.ChunkID) (chunk.Info, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return chunk.Info{}, false, err
	}
	m, ok := s.chunks[id]
	if !ok {
		return chunk.Info{}, false, nil
	}
	return chunk.Info{ID: id, Size: int64(len(m.data)), ModTime: m.modTime}, true, nil
}
