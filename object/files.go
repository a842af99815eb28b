package object

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"coffer/cipher"
)

const (
	// commitAfter is how long a change made through a mount may be unknown to S3 when nobody asks for it.
	commitAfter = 5 * time.Second
	commitEvery = time.Second // how often the age of changes is looked at
	// commitsAtOnce bounds the commits of the background; they share flushes.
	commitsAtOnce = 32
	// crowd is how many files may be open before changes of closed ones are committed at once.
	crowd = 8192
)

// files are the objects that mounts have open, and those with changes that are not committed.
//
// Lock order: openFile.mu, then files.mu, under which nothing is taken. moves is taken before both by who renames, and
// with openFile.mu held by a commit that did not find its name: so a rename takes no openFile.mu.
type files struct {
	store *Store

	mu     sync.Mutex
	open   map[cipher.ObjectID]*openFile
	unborn map[nameID]*openFile // of open, those that have no name in the metastore yet

	moves  sync.RWMutex // held for reading while names of open files change
	memory atomic.Int64 // bytes that wait to be sealed

	cancel context.CancelFunc
	done   chan struct{}
}

// nameID is a key of a bucket.
type nameID struct {
	bucket cipher.BucketID
	key    string
}

func newFiles(s *Store) *files {
	return &files{
		store: s, open: make(map[cipher.ObjectID]*openFile), unborn: make(map[nameID]*openFile),
		done: make(chan struct{}),
	}
}

// start begins to commit what is old. finish ends it and commits everything.
func (t *files) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	go func() {
		defer close(t.done)
		ticker := time.NewTicker(commitEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				t.commitOld(context.Background(), time.Now().Add(-commitAfter))
			}
		}
	}()
}

func (t *files) finish() {
	t.cancel()
	<-t.done
	t.commitOld(context.Background(), time.Now().Add(commitAfter))
}

// commitOld commits the files whose first change was before a time. What fails is tried again the next time, and told
// to who asks.
func (t *files) commitOld(ctx context.Context, before time.Time) {
	var g errgroup.Group
	g.SetLimit(commitsAtOnce)
	for _, f := range t.all() {
		g.Go(func() error {
			if !t.hold(f) {
				return nil
			}
			defer t.leave(f)
			if err := f.commitOld(ctx, before); err != nil && kindOfCause(err) != KindStale {
				t.store.log.WarnContext(ctx, "changes made through a mount wait to be committed", "error", err)
			}
			return nil
		})
	}
	_ = g.Wait() // the functions return nil
}

func (f *openFile) commitOld(ctx context.Context, before time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.since.IsZero() && f.since.Before(before) {
		if err := f.commit(ctx); err != nil {
			return err
		}
	}
	return f.neaten(ctx)
}

// isCrowded reports whether so many files are open that changes should not wait.
func (t *files) isCrowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open) > crowd
}

func (t *files) all() []*openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*openFile, 0, len(t.open))
	for _, f := range t.open {
		all = append(all, f)
	}
	return all
}

// hold adds one opener to a file, unless it was closed meanwhile.
func (t *files) hold(f *openFile) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[f.object] != f {
		return false
	}
	f.openers++
	return true
}

// admit adds one opener to the file of an object: to the one that is open, else to the given one.
func (t *files) admit(f *openFile) *openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	if there := t.open[f.object]; there != nil {
		f = there
	} else {
		t.open[f.object] = f
	}
	f.openers++
	return f
}

// admitUnborn adds a file that is being made, unless its name is taken.
func (t *files) admitUnborn(f *openFile) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := nameID{f.bucketID, f.key}
	if t.unborn[id] != nil {
		return false
	}
	f.place = id
	t.unborn[id], t.open[f.object] = f, f
	f.openers++
	return true
}

// born takes a file off the unborn: it is committed, or given up.
func (t *files) born(f *openFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bear(f)
}

// bear is born with the lock held.
func (t *files) bear(f *openFile) {
	if t.unborn[f.place] == f {
		delete(t.unborn, f.place)
	}
}

// at returns the unborn file of a key, nil if there is none.
func (t *files) at(bucket cipher.BucketID, key string) *openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unborn[nameID{bucket, key}]
}

// of returns the open file of an object, nil if there is none.
func (t *files) of(object cipher.ObjectID) *openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[object]
}

// enter adds an opener to the open file of an object, and returns it; nil if there is none.
func (t *files) enter(object cipher.ObjectID) *openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.open[object]
	if f != nil {
		f.openers++
	}
	return f
}

// below returns the unborn files whose keys begin with a prefix, in no order.
func (t *files) below(bucket cipher.BucketID, prefix string) []*openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*openFile
	for id, f := range t.unborn {
		if id.bucket == bucket && strings.HasPrefix(id.key, prefix) {
			found = append(found, f)
		}
	}
	return found
}

// renamed tells that a key, or all keys below a prefix that ends in "/", have another name since a commit. The caller
// has held moves for reading since before that.
func (t *files) renamed(bucket cipher.BucketID, from, to string) {
	now := t.store.opts.Now().UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		rest, below := strings.CutPrefix(f.key, from)
		if f.bucketID == bucket && below && (rest == "" || strings.HasSuffix(from, "/")) {
			f.key = to + rest
			if rest == "" {
				f.renamed = now
			}
			if t.unborn[f.place] == f {
				delete(t.unborn, f.place)
				f.place = nameID{bucket, f.key}
				t.unborn[f.place] = f
			}
		}
	}
}

// unnamed tells that a key does not name an object any more since a commit. other is another name of it, "" if there is
// none: then the file lives on without a name for those who have it open.
func (t *files) unnamed(object cipher.ObjectID, key, other string) {
	now := t.store.opts.Now().UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.open[object]; f != nil && f.key == key {
		f.key, f.renamed = other, now
		f.nameless = other == ""
	}
}

// name is the key under which a file is committed; false when it has none any more.
func (t *files) name(f *openFile) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.key, !f.nameless
}

// attributes are those of a file, whose change time a change of its names moves too. The caller holds the file's lock.
func (t *files) attributes(f *openFile) *attributes {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := f.base.Attributes; a == nil || a.ChangeTime >= f.renamed {
		return a
	}
	return f.base.Attributes.changedAt(f.renamed)
}

// leave takes one opener off a file.
func (t *files) leave(f *openFile) {
	t.mu.Lock()
	f.openers--
	t.mu.Unlock()
	t.forget(f)
}

// forget closes a file that nobody has open and that has nothing to commit.
func (t *files) forget(f *openFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.mu.Lock()
	idle := f.openers == 0 && !(f.isUntidy() && !f.nameless) && (f.since.IsZero() || f.nameless) && t.open[f.object] == f
	if idle {
		delete(t.open, f.object)
		t.bear(f)
	}
	t.mu.Unlock()
	if idle {
		f.dispose()
	}
}

// count tells how many files are open and how many bytes wait in memory.
func (t *files) count() (open int, memory int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open), t.memory.Load()
}
