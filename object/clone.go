package object

import (
	"context"
	"io"
	"slices"
	"time"

	"coffer/cipher"
)

const cloneUnit = 256 << 10 // bytes copied at a time

// CloneRange makes length bytes of the file at off those of src at srcOff, as copy_file_range(2) does, and returns how
// many it was: fewer at the end of src. Where keys and modes allow it the files share the bytes, and no byte is read or
// written; else they are copied. Both files are committed before bytes are shared.
func (f *File) CloneRange(ctx context.Context, off int64, src *File, srcOff, length int64) (int64, error) {
	n, err := f.of.cloneRange(ctx, off, src.of, srcOff, length)
	return n, f.of.wrap("clone", err)
}

func (f *openFile) cloneRange(ctx context.Context, off int64, src *openFile, srcOff, length int64) (int64, error) {
	if off < 0 || srcOff < 0 || length < 0 || off > MaxObjectSize-length {
		return 0, errKindf(KindInvalidArgument, "range")
	}
	src.mu.RLock()
	length = min(length, max(src.size-srcOff, 0))
	src.mu.RUnlock()
	if f == src && off < srcOff+length && srcOff < off+length {
		return 0, errKindf(KindInvalidArgument, "the ranges overlap")
	}
	if f != src && length >= f.store.opts.CloneLeast {
		shared, err := f.share(ctx, off, src, srcOff, length)
		if shared || err != nil {
			return length, err
		}
	}
	return f.copyRange(ctx, off, src, srcOff, length)
}

// copyRange reads from one file and writes to the other.
func (f *openFile) copyRange(ctx context.Context, off int64, src *openFile, srcOff, length int64) (int64, error) {
	buf := make([]byte, min(length, cloneUnit))
	defer clear(buf)
	var done int64
	for done < length {
		n, err := src.readAt(ctx, buf[:min(int64(len(buf)), length-done)], srcOff+done)
		if err != nil && err != io.EOF {
			return done, err
		}
		if n == 0 {
			return done, nil
		}
		f.mu.Lock()
		err = f.writeAt(ctx, buf[:n], off+done)
		f.mu.Unlock()
		if err != nil {
			return done, err
		}
		done += int64(n)
	}
	return done, nil
}

// share lets the file borrow from the body of src. It answers false, and has changed nothing but commits, where it may
// not.
func (f *openFile) share(ctx context.Context, off int64, src *openFile, srcOff, length int64) (bool, error) {
	first, second := f, src // locked in the order of their objects
	if string(second.object[:]) < string(first.object[:]) {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	if f.bucketID != src.bucketID || f.store.files.isNameless(f) || f.store.files.isNameless(src) {
		return false, nil
	}
	for _, o := range []*openFile{f, src} {
		if err := o.commit(ctx); err != nil {
			return false, err
		}
	}
	extents, err := src.committedExtents(ctx, srcOff, length)
	if err != nil || len(extents) == 0 || slices.ContainsFunc(extents, func(e extent) bool { return e.Slot != 0 }) {
		return false, err
	}
	slot, ok, err := f.slotFor(ctx, src)
	if err != nil || !ok {
		return false, err
	}
	changes := []extent{hole(off, length)}
	for _, e := range extents {
		e.Offset, e.Slot, e.Place = e.Offset-srcOff+off, slot, e.Place|borrowed
		changes, _ = overlay(changes, []extent{e}, true)
	}
	if err := f.commitShared(ctx, src, changes, off+length); err != nil {
		if kindOfCause(err) == KindOperationAborted {
			err = nil
		}
		return false, err
	}
	return true, nil
}

// commitShared commits changes that borrow from src, or leaves the file as it was.
func (f *openFile) commitShared(ctx context.Context, src *openFile, changes []extent, end int64) error {
	keys := len(f.base.Keys)
	f.changes, f.lender = changes, src
	f.size = max(f.size, end)
	f.touch(f.store.opts.Now())
	err := f.commit(ctx)
	f.lender, f.added = nil, nil
	if err != nil {
		f.changes, f.size, f.data, f.since = nil, f.base.Size, false, time.Time{}
		for _, k := range f.keys[keys:] {
			k.Wipe()
		}
		f.keys = f.keys[:keys]
	}
	return err
}

func (t *files) isNameless(f *openFile) bool {
	_, named := t.name(f)
	return !named
}

// slotFor finds the slot of the file's keys that holds the DataKey of src, or adds it, sealed for the file; false where
// the two may not share a key. Both files are locked and committed.
func (f *openFile) slotFor(ctx context.Context, src *openFile) (uint8, bool, error) {
	if src.base.Body.IsZero() || len(src.base.Parts.Pages) > 0 || len(src.base.Keys) == 0 || len(f.base.Keys) == 0 {
		return 0, false, nil
	}
	var mine, theirs cipher.SealedKey
	if mine.UnmarshalBinary(f.base.Keys[0]) != nil || theirs.UnmarshalBinary(src.base.Keys[0]) != nil || !sameMaster(&mine, &theirs) {
		return 0, false, nil
	}
	if err := f.openKeysLocked(ctx); err != nil {
		return 0, false, err
	}
	if err := src.openKeysLocked(ctx); err != nil {
		return 0, false, err
	}
	for i, k := range f.keys {
		if k.Equal(src.keys[0]) {
			return uint8(i), true, nil
		}
	}
	if len(f.keys) == maxKeySlots {
		return 0, false, nil
	}
	return f.addSlot(ctx, src.keys[0], &mine)
}

// sameMaster reports whether two SealedKeys say the same of who can open them: then sharing a DataKey tells nobody more.
func sameMaster(a, b *cipher.SealedKey) bool {
	return a.Mode == b.Mode && a.Mode != cipher.ModeSSEC && a.Instance == b.Instance && a.Generation != 0 && a.Generation == b.Generation
}

// addSlot seals a DataKey for the file under the KEK of its own.
func (f *openFile) addSlot(ctx context.Context, key *cipher.DataKey, like *cipher.SealedKey) (uint8, bool, error) {
	s := f.store
	name, _ := s.files.name(f)
	ctx = withSubjects(ctx, Subject{Bucket: f.bucket, Key: name, Seals: true})
	kek, err := s.keys.buckets.open(ctx, kekID{f.bucketID, like.Generation})
	if err != nil {
		return 0, false, err
	}
	defer kek.Wipe()
	sealed := cipher.SealedKey{
		Mode: like.Mode, Instance: like.Instance, KeyFingerprint: like.KeyFingerprint, KeyVersion: like.KeyVersion,
		Generation: like.Generation, Context: like.Context,
	}
	if err := sealed.Seal(kek, key, s.keys.binding(f.bucketID, f.object)); err != nil {
		return 0, false, err
	}
	encoded, err := sealed.MarshalBinary()
	if err != nil {
		return 0, false, err
	}
	mine, err := sealed.Open(kek, s.keys.binding(f.bucketID, f.object))
	if err != nil {
		return 0, false, err
	}
	f.added, f.keys = [][]byte{encoded}, append(f.keys, mine)
	return uint8(len(f.keys) - 1), true, nil
}

// committedExtents returns the extents of a range of the committed body.
func (f *openFile) committedExtents(ctx context.Context, off, length int64) ([]extent, error) {
	var out []extent
	for end := off + length; off < end; {
		l, err := f.leaf.find(ctx, f, off)
		if err != nil {
			return nil, err
		}
		until := min(l.until, end)
		if until <= off {
			break
		}
		out = append(out, within(l.extents, off, until)...)
		off = until
	}
	return out, nil
}

// borrow is the part of a commit that shares the body of another file, whose record it reads for update.
func (c *fileCommit) borrow(n *nameWriter) error {
	src := c.f.lender
	key, named := src.store.files.name(src)
	if !named {
		return errKind(KindOperationAborted)
	}
	r, err := n.current(key)
	if err != nil {
		return err
	}
	if r == nil || r.Object != src.object || !sameBody(&r.Body, &src.base.Body) {
		return errKind(KindOperationAborted)
	}
	return lend(n.tx.Tx, &r.Body, 1)
}
