package object_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"coffer/object"
	"coffer/object/objecttest"
)

// TestFilesUnderManyHands lets mounts and S3 clients work on the same few names at the same time. Every block of every file
// is filled with one letter by one call, so a block of several letters is a mixture that nobody wrote.
func TestFilesUnderManyHands(t *testing.T) {
	t.Parallel()
	const block, blocks = 1000, 12
	ctx := object.WithOrigin(context.Background(), nil)
	env := objecttest.New()
	s := env.Open(t, editLayout)
	newBucket(t, s, "bucket")
	expected := []object.Kind{
		object.KindNoSuchKey, object.KindExists, object.KindStale, object.KindIsDirectory, object.KindNotDirectory, object.KindNotEmpty,
		object.KindOperationAborted,
	}
	var hands sync.WaitGroup
	for hand := range 8 {
		hands.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(hand)))
			for op := range 250 {
				if err := oneHand(ctx, s, random, block, blocks); err != nil && !slices.Contains(expected, object.KindOf(err)) {
					t.Errorf("hand %d, operation %d: %v", hand, op, err)
					return
				}
			}
		})
	}
	hands.Wait()
	s.CommitFiles(ctx)
	list, err := s.List(ctx, object.ListRequest{Bucket: "bucket", Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Objects {
		wantBlocks(t, o.Key, read(t, s, object.GetRequest{Bucket: "bucket", Key: o.Key}), block)
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: o.Key}); err != nil {
			t.Fatal(err)
		}
	}
	s.SettleFiles(ctx)
	collectAll(t, s)
	wantEmpty(t, env, s)
}

// wantBlocks fails where a block holds more than one letter.
func wantBlocks(t *testing.T, key string, body []byte, block int) {
	t.Helper()
	for part := range slices.Chunk(body, block) {
		if n := bytes.Count(part, part[:1]); n != len(part) {
			t.Errorf("%s has a mixture: %d of %d bytes are %q", key, n, len(part), part[0])
			return
		}
	}
}

// oneHand does something to one of a few names.
func oneHand(ctx context.Context, s *object.Store, random *rand.Rand, block, blocks int) error {
	name := func() string { return fmt.Sprintf("dir/%d", random.IntN(4)) }
	fill := func(n int) []byte { return bytes.Repeat([]byte{byte('a' + random.IntN(26))}, n) }
	switch random.IntN(10) {
	case 0:
		_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: name(), Body: bytes.NewReader(fill(block * blocks)), Size: int64(block * blocks)})
		return err
	case 1:
		r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: name()})
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	case 2:
		return s.Unlink(ctx, "bucket", name())
	case 3:
		return s.Rename(ctx, object.RenameRequest{Bucket: "bucket", From: name(), To: name(), Exchange: random.IntN(4) == 0})
	case 4:
		_, err := s.Link(ctx, "bucket", name(), name())
		return err
	case 5:
		mode := uint32(random.IntN(0o777))
		_, err := s.SetAttributes(ctx, "bucket", name(), object.AttributeChange{Mode: &mode})
		return err
	case 6:
		_, err := s.ReadDir(ctx, "bucket", "dir/", object.ListPosition{}, 100)
		return err
	case 7:
		f, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: name(), Attr: object.Attributes{Mode: 0o100644}})
		if err != nil {
			return err
		}
		return useFile(ctx, f, random, fill, block, blocks)
	default:
		f, err := s.OpenFile(ctx, "bucket", name())
		if err != nil {
			return err
		}
		return useFile(ctx, f, random, fill, block, blocks)
	}
}

// useFile works on whole blocks of an open file, and closes it.
func useFile(ctx context.Context, f *object.File, random *rand.Rand, fill func(int) []byte, block, blocks int) error {
	defer f.Close()
	for range random.IntN(6) {
		off := int64(random.IntN(blocks) * block)
		var err error
		switch random.IntN(6) {
		case 0:
			_, err = f.ReadAt(ctx, make([]byte, block), off)
			if err == io.EOF {
				err = nil
			}
		case 1:
			err = f.Truncate(ctx, off)
		case 2:
			err = f.Tidy(ctx)
		case 3:
			err = f.Sync(ctx)
		default:
			_, err = f.WriteAt(ctx, fill(block), off)
		}
		if err != nil {
			return err
		}
	}
	return f.Sync(ctx)
}
