package object

import (
	"context"
	"testing"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/metastore/memdb"
)

// write puts staged pages into a metastore in memory.
func write(t *testing.T, staged []stagedPage) *metastore.DB {
	t.Helper()
	db := metastore.New(memdb.New(), cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues)))
	for _, p := range staged {
		if len(p.value) > maxPageBytes {
			t.Fatalf("page of %d bytes, at most %d", len(p.value), maxPageBytes)
		}
		err := db.Update(context.Background(), func(tx *metastore.Tx) error { return tx.Put(pageKey(p.id), p.value) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// TestPartTableOfTheMostParts has every part that an object may have, with the longest of checksums.
func TestPartTableOfTheMostParts(t *testing.T) {
	t.Parallel()
	parts := make([]partEntry, MaxParts)
	for i := range parts {
		parts[i] = partEntry{
			Number: i + 1, Offset: int64(i) * MaxPartSize, Size: MaxPartSize, MD5: make([]byte, 16), Checksum: make([]byte, 32),
			ModTime: 1 << 60,
		}
	}
	table, staged := newPartTable(parts)
	if record := encode(&record{Parts: table}); len(record) > maxRecordBytes/4 {
		t.Errorf("the record takes %d bytes for the references to its parts", len(record))
	}
	db := write(t, staged)
	for _, first := range []int{1, 2, 512, 513, 514, 5000, 9728, 9729, MaxParts} {
		next := first
		err := db.View(context.Background(), func(v *metastore.View) error {
			return table.from(v, first, func(e partEntry) bool {
				if e.Number != next || e.Offset != parts[next-1].Offset {
					t.Errorf("from %d: part %d at %d, want part %d", first, e.Number, e.Offset, next)
					return false
				}
				next++
				return true
			})
		})
		if err != nil || next != MaxParts+1 {
			t.Errorf("from %d: ended before part %d: %v", first, next, err)
		}
	}
}

// TestTreeOfTheLargestObject has an extent for every 64 MiB of the largest object, in two levels of pages.
func TestTreeOfTheLargestObject(t *testing.T) {
	t.Parallel()
	const length = 64 << 20
	extents := make([]extent, MaxObjectSize/length)
	for i := range extents {
		extents[i] = extent{Offset: int64(i) * length, Length: length, Chunk: cipher.NewChunkID()}
	}
	b, staged := newBody(extents)
	if b.Depth != 2 {
		t.Errorf("depth %d", b.Depth)
	}
	s := &Store{opts: Options{Meta: write(t, staged)}}
	for i := 0; i < len(extents); i += 777 {
		found, next, err := s.lookup(context.Background(), &b, MaxObjectSize, extents[i].Offset+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		covers := false
		for _, e := range found {
			covers = covers || e == extents[i]
		}
		if !covers || next <= extents[i].Offset {
			t.Fatalf("extent %d is not among those found at its offset", i)
		}
	}
	seen, pages := 0, 0
	err := s.opts.Meta.View(context.Background(), func(v *metastore.View) error {
		return b.walk(v, func(extents []extent, ids []cipher.PageID) error {
			seen, pages = seen+len(extents), pages+len(ids)
			return nil
		})
	})
	if err != nil || seen != len(extents) || pages != len(staged) {
		t.Errorf("walked %d extents in %d pages, want %d in %d: %v", seen, pages, len(extents), len(staged), err)
	}
}
