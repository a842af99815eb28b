package object

import (
	"context"
	"crypto/md5"
	"hash"
	"sync"
	"time"

	"coffer/cipher"
)

// File is an object that is open for reading and writing at any offset, as a mount needs it. All Files of an object
// share what is written: each sees it at once; S3 sees it after a Sync, after a Close of any, or 5 seconds later.
//
// A File goes on with the object that it opened, whatever happens to its name. Where S3 has replaced the object, what
// was written and not committed is dropped, and Sync says so to each File once, with KindStale.
//
// A File is safe for concurrent use.
type File struct {
	of   *openFile
	mu   sync.Mutex
	seen uint64 // losses that this File was told of
	shut bool
}

// openFile is an object that is open, with what was changed since its last commit.
type openFile struct {
	store    *Store
	bucket   string
	bucketID cipher.BucketID
	object   cipher.ObjectID

	// Guarded by files.mu.
	key      string
	place    nameID // in files.unborn
	nameless bool   // the object has no name any more
	renamed  int64  // when its names changed last, in Unix nanoseconds
	openers  int

	mu     sync.RWMutex // guards what follows
	base   *record      // as committed; of an unborn file what it will begin as
	unborn bool
	pin    pin
	unuse  func()            // lets go of the MasterKeys that the SealedKeys need
	keys   []*cipher.DataKey // by slot; nil until they are needed

	size    int64
	kept    int64       // bytes of base that are still part of the file; what lies behind them was cut off
	changes []extent    // sealed, ascending; zeros where they are holes
	memory  segments    // over changes
	stream  *bodyWriter // where changes are sealed, nil until the first
	grant   *grant

	data   bool      // bytes or size changed since the last commit
	meta   bool      // what S3 clients may change too was changed: content type, user metadata
	since  time.Time // the first change since the last commit; zero: nothing to commit
	broken error     // sealed bytes were lost: nothing can be committed any more

	sum    hash.Hash // MD5 of what was sealed so far, where that is the file's beginning; else nil
	summed int64

	short     int  // short extents that commits have added since the file was compacted
	rewriting bool // the commit under way changes where bytes lie, and nothing else

	lender *openFile // whose body the commit under way borrows from; it is locked, too
	added  [][]byte  // SealedKeys that the commit under way adds

	origin *Watcher // of the last change
	losses uint64   // commits that were dropped
	chunks chunkCache
	leaf   leafCache
}

// CreateRequest makes a file through a mount.
type CreateRequest struct {
	Bucket, Key string
	Attr        Attributes // Mode says which kind of file
	Target      string     // of a symbolic link
	Meta        Metadata
}

// The file types of st_mode.
const (
	modeType    = 0o170000
	modeRegular = 0o100000
)

// CreateFile makes a file. It fails with KindExists where the key has one. A regular file is known to mounts at once and
// to S3 when it is committed; every other kind is committed at once.
func (s *Store) CreateFile(ctx context.Context, req CreateRequest) (*File, error) {
	f, err := s.createFile(ctx, &req)
	if err != nil {
		return nil, s.wrap("create file", req.Bucket, req.Key, err)
	}
	return &File{of: f}, nil
}

func (s *Store) createFile(ctx context.Context, req *CreateRequest) (*openFile, error) {
	if err := validateFile(req.Key); err != nil {
		return nil, err
	}
	b, err := s.prepareWrite(ctx, req.Bucket, req.Key, &req.Meta, WriteConditions{})
	if err != nil {
		return nil, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	plan, err := s.planSealing(ctx, req.Bucket, req.Key, b, &Sealing{})
	if err != nil {
		return nil, err
	}
	inode, err := s.inodes.take(ctx)
	if err != nil {
		return nil, err
	}
	now := s.opts.Now()
	empty := md5.Sum(nil)
	r := &record{
		Format: recordFormat, Kind: kindObject, Object: cipher.NewObjectID(), ModTime: now.UnixNano(), ETag: etagOf(empty[:]),
		Meta: req.Meta.stored(), Inode: inode, Attributes: req.Attr.stored(now.UnixNano()), Encryption: plan.stored(),
	}
	if !r.Encryption.wantsMD5() {
		r.ETag = etagOf(randomMD5())
	}
	work := s.sealer(plan.mode)
	key, sealed, err := s.keys.seal(ctx, req.Bucket, b, r.Object, plan)
	if err != nil {
		plan.done()
		return nil, err
	}
	r.Keys = [][]byte{sealed}
	f := s.newOpenFile(req.Bucket, b.ID, req.Key, r)
	f.keys, f.unuse = []*cipher.DataKey{key}, plan.done
	f.unborn, f.data, f.since, f.sum = true, true, now, newMD5(r)
	f.write([]byte(req.Target), 0, now)
	if err := s.enterUnborn(ctx, f, req.Key, req.Attr.Mode); err != nil {
		return nil, err
	}
	if work.check() != nil { // keys were taken back while the file was made
		f.revoke()
	}
	return f, nil
}

// enterUnborn adds a file to those that are open, if its name is free. One that is no regular file is committed. With an
// error the file is given up.
func (s *Store) enterUnborn(ctx context.Context, f *openFile, key string, mode uint32) error {
	if !s.files.admitUnborn(f) {
		f.dispose()
		return errKind(KindExists)
	}
	there, _, err := s.find(ctx, f.bucket, key, "")
	switch {
	case there != nil && there.Object != f.object: // else somebody has committed it already, such as for a rename
		err = errKind(KindExists)
	case there != nil || kindOfCause(err) == KindNoSuchKey:
		err = nil
		if mode&modeType != modeRegular {
			f.mu.Lock()
			err = f.commit(ctx)
			f.mu.Unlock()
		}
	}
	if err == nil {
		return nil
	}
	f.giveUp()
	s.files.leave(f)
	if kindOfCause(err) == KindStale {
		err = errKind(KindExists)
	}
	return err
}

func (s *Store) newOpenFile(bucket string, id cipher.BucketID, key string, r *record) *openFile {
	return &openFile{store: s, bucket: bucket, bucketID: id, object: r.Object, key: key, base: r, size: r.Size, kept: r.Size}
}

// OpenFile opens what a key names. The key service is asked when the first byte is read or written. An object that a
// client's key protects fails with KindCustomerKeyMissing.
func (s *Store) OpenFile(ctx context.Context, bucket, key string) (*File, error) {
	f, err := s.openFile(ctx, bucket, key)
	if err != nil {
		return nil, s.wrap("open file", bucket, key, err)
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return &File{of: f, seen: f.losses}, nil
}

func (s *Store) openFile(ctx context.Context, bucket, key string) (*openFile, error) {
	for {
		if f := s.openUnborn(ctx, bucket, key); f != nil {
			return f, nil
		}
		f, err := s.findFile(ctx, bucket, key)
		if err != nil {
			return nil, err
		}
		tree := f.base.Body
		open := s.files.admit(f)
		if open != f {
			f.dispose()
		}
		// Name and tree may have changed between the look and the entry, when nobody knew whom to tell.
		again, _, err := s.find(ctx, bucket, key, "")
		if err == nil && again.Object == f.object && (open != f || sameBody(&again.Body, &tree)) {
			return open, nil
		}
		s.files.leave(open)
	}
}

// findFile makes an open file of what a key names, which nobody else has yet.
func (s *Store) findFile(ctx context.Context, bucket, key string) (*openFile, error) {
	entered := s.pins.enter()
	defer s.pins.leave(entered)
	using := s.keys.uses.begin()
	r, id, err := s.find(ctx, bucket, key, "")
	if err == nil && r.Encryption.Mode == cipher.ModeSSEC {
		err = errKind(KindCustomerKeyMissing)
	}
	if err == nil {
		err = using.hold(id, r.Keys...)
	}
	if err != nil {
		using.end()
		return nil, err
	}
	f := s.newOpenFile(bucket, id, key, r)
	f.pin, f.unuse = s.pins.hold(r.Body.ID), using.end
	return f, nil
}

// openUnborn adds an opener to the unborn file of a key, if there is one.
func (s *Store) openUnborn(ctx context.Context, bucket, key string) *openFile {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil
	}
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	f := s.files.unborn[nameID{b.ID, key}]
	if f != nil {
		f.openers++
	}
	return f
}

// commitUnborn commits the file of a key, if it is one that S3 does not know yet.
func (s *Store) commitUnborn(ctx context.Context, bucket cipher.BucketID, key string) error {
	f := s.files.at(bucket, key)
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commit(ctx)
}

// dropUnborn takes the name of a file away that S3 does not know yet. It answers false when there is none.
func (s *Store) dropUnborn(bucket cipher.BucketID, key string) bool {
	f := s.files.at(bucket, key)
	if f == nil {
		return false
	}
	dropped := f.giveUp()
	s.files.forget(f)
	return dropped
}

// giveUp takes the name of a file away that S3 does not know yet. It answers false where S3 does.
func (f *openFile) giveUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.unborn {
		return false
	}
	key, _ := f.store.files.name(f)
	f.store.files.born(f)
	f.store.files.unnamed(f.object, key, "")
	return true
}

// dispose gives back what an open file holds. Nobody has it any more.
func (f *openFile) dispose() {
	if f.stream != nil {
		f.stream.abort(context.Background())
		f.grant.release()
	}
	f.store.files.memory.Add(-f.memory.bytes)
	f.memory.wipe()
	f.chunks.close()
	for _, k := range f.keys {
		k.Wipe()
	}
	if f.pin.of != nil {
		f.pin.release()
	}
	f.unuse()
}

// Close gives the file back. What was written and not committed is committed within 5 seconds; Sync before tells whether
// that succeeds. A second Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	shut := f.shut
	f.shut = true
	f.mu.Unlock()
	if !shut {
		f.of.store.files.leave(f.of)
	}
	return nil
}

// Sync commits what was changed: it is durable then, and what S3 sees. It fails with KindStale, once for each File, where
// changes were dropped because the object had been replaced.
func (f *File) Sync(ctx context.Context) error {
	o := f.of
	o.mu.Lock()
	err := o.commit(ctx)
	losses := o.losses
	o.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && losses > f.seen {
		err = errKind(KindStale)
	}
	f.seen = losses
	return o.wrap("sync", err)
}

func (f *openFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	key, _ := f.store.files.name(f)
	return f.store.wrap(op, f.bucket, key, err)
}

// Node describes the file with all that was changed.
func (f *File) Node() Node { return f.of.node() }

func (f *openFile) node() Node {
	f.mu.RLock()
	defer f.mu.RUnlock()
	key, named := f.store.files.name(f)
	n := fileNode(f.bucket, key, f.base)
	n.Info.Size, n.Attr = f.size, f.store.files.attributes(f).public()
	n.Open = !f.since.IsZero()
	if !named {
		n.Links = 0
	}
	return *n
}

// SetAttributes changes attributes. They are committed with the next Sync, or within 5 seconds.
func (f *File) SetAttributes(ctx context.Context, c AttributeChange) (Node, error) {
	if err := f.of.setAttributes(ctx, &c); err != nil {
		return Node{}, f.of.wrap("set attributes", err)
	}
	return f.Node(), nil
}

func (f *openFile) setAttributes(ctx context.Context, c *AttributeChange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.origin, _ = originOf(ctx)
	now := f.store.opts.Now()
	r := *f.base
	if err := c.apply(&r, now.UnixNano()); err != nil {
		return err
	}
	if err := r.checkRoom(); err != nil {
		return err
	}
	f.base = &r
	f.meta = f.meta || c.ContentType != nil || c.UserMeta != nil
	f.changed(now)
	return nil
}

// rootRoom is what a record keeps free for the root of its body, in bytes.
const rootRoom = 6 << 10

// checkRoom refuses attributes and metadata that would leave no room for the root of a body.
func (r *record) checkRoom() error {
	bare := *r
	bare.Body = body{}
	if n := len(encode(&bare)); n > maxRecordBytes-rootRoom {
		return errKindf(KindMetadataTooLarge, "record of %d bytes without its body, at most %d", n, maxRecordBytes-rootRoom)
	}
	return nil
}

// changed notes that there is something to commit.
func (f *openFile) changed(now time.Time) {
	if f.since.IsZero() {
		f.since = now
	}
}

// Tidy makes long runs of short ones and looks for what edits have left of the file's body, which the Store does by
// itself where it is much; calling it is for tools and tests. Changes that are not committed put it off.
func (f *File) Tidy(ctx context.Context) error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if err := f.of.compact(ctx); err != nil {
		return f.of.wrap("compact", err)
	}
	return f.of.wrap("tidy", f.of.tidy(ctx))
}
