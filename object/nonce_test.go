//go:build sealtrace

package object_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"coffer/cipher"
	"coffer/object"
	"coffer/object/objecttest"
)

var nonceOps = flag.Int("nonces.ops", 20_000, "operations of TestNoKeyMeetsANonceTwice")

// TestNoKeyMeetsANonceTwice puts, copies, writes, truncates, commits, replays after crashes and rewraps, and asks the
// trace of every seal of the process whether a nonce came again under its key.
func TestNoKeyMeetsANonceTwice(t *testing.T) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(7, 8))
	env := objecttest.New()
	open := func() *object.Store {
		s, err := object.Open(ctx, optionsOf(env, editLayout))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	newBucket(t, s, "bucket")
	_, before := cipher.SealTrace.Count()
	files := map[string]*object.File{}
	for op := range *nonceOps {
		key := fmt.Sprintf("dir/%d", random.IntN(8))
		f := files[key]
		if f == nil {
			var err error
			if f, err = s.OpenFile(ctx, "bucket", key); err != nil {
				put(t, s, "bucket", key, data(random.IntN(30_000), byte(op)))
				continue
			}
			files[key] = f
		}
		var err error
		switch random.IntN(16) {
		case 0, 1, 2, 3, 4, 5:
			_, err = f.WriteAt(ctx, data(1+random.IntN(3000), byte(op)), int64(random.IntN(30_000)))
		case 6:
			_, _, err = f.Append(ctx, data(1+random.IntN(3000), byte(op)))
		case 7:
			err = f.Truncate(ctx, int64(random.IntN(40_000)))
		case 8, 9, 10:
			err = f.Sync(ctx)
		case 11:
			err = f.Punch(ctx, int64(random.IntN(20_000)), 5000)
		case 12:
			if err = f.Sync(ctx); err == nil {
				_, err = s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: key, Bucket: "bucket", Key: key + " copy"})
			}
		case 13:
			err = f.Tidy(ctx)
		case 14:
			put(t, s, "bucket", key, data(random.IntN(30_000), byte(op)))
			_ = f.Close()
			delete(files, key)
		default:
			if random.IntN(20) > 0 {
				continue
			}
			// What is sealed and not committed is lost, and written again by others under the same keys.
			was := s
			env = env.Crash()
			s = open()
			_ = was.Close()
			clear(files)
		}
		if err != nil && object.KindOf(err) != object.KindStale {
			t.Fatalf("operation %d: %v", op, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sealed, twice := cipher.SealTrace.Count()
	if twice > before {
		t.Errorf("%d of %d seals repeated a nonce under its key", twice-before, sealed)
	}
	t.Logf("%d operations, %d seals", *nonceOps, sealed)
}
