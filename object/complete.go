package object

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/object/checksum"
)

// pagesPerTransaction keeps the staging of a large tree within the metastore's limits.
const pagesPerTransaction = metastore.MaxTransactionSize / maxPageBytes / 2

// completionLocks let one Complete of an upload wait for another, so that a repeated request finds what the first one
// made. They are held across the transactions of a Complete and guard nothing else.
const completionLocks = 64

// CompleteUpload makes one object of an upload's parts. Asked for again after it has succeeded, it answers the same for
// as long as the object that it made is current.
//
// It first marks the upload, so that no part changes any more; then builds the object's tree from the parts as they
// are, writes its pages under an intent, and publishes record and removal of the upload in one transaction. A crash
// leaves the upload as it was.
func (s *Store) CompleteUpload(ctx context.Context, req CompleteRequest) (ObjectInfo, error) {
	r, err := s.completeUpload(WithOrigin(ctx, nil), &req) // nobody is waited for under its lock
	if err != nil && kindOfCause(err) == KindNoSuchUpload {
		if done, findErr := s.completedBefore(ctx, &req); findErr == nil {
			return done.info(req.Bucket, req.Key), nil
		}
	}
	if err != nil {
		return ObjectInfo{}, s.wrap("complete upload", req.Bucket, req.Key, err)
	}
	s.watchers.settle(ctx)
	return r.info(req.Bucket, req.Key), nil
}

// completedBefore finds the object that an earlier call for the same upload and parts made.
func (s *Store) completedBefore(ctx context.Context, req *CompleteRequest) (*record, error) {
	r, _, err := s.find(ctx, req.Bucket, req.Key, "")
	if err != nil {
		return nil, err
	}
	if id, err := cipher.ParseUploadID(req.UploadID); err != nil || id != r.Upload || r.Parts.Count != len(req.Parts) {
		return nil, errKind(KindNoSuchUpload)
	}
	sums := md5.New()
	for _, p := range req.Parts {
		sum, err := hex.DecodeString(trimETag(p.ETag))
		if err != nil {
			return nil, errKind(KindNoSuchUpload)
		}
		sums.Write(sum)
	}
	if multipartETag(sums.Sum(nil), len(req.Parts)) != r.ETag {
		return nil, errKind(KindNoSuchUpload)
	}
	return r, nil
}

func multipartETag(sum []byte, parts int) string { return fmt.Sprintf("%x-%d", sum, parts) }

func (s *Store) completeUpload(ctx context.Context, req *CompleteRequest) (*record, error) {
	if err := checkOrder(req.Parts); err != nil {
		return nil, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	_, place, err := s.findUpload(ctx, req.Bucket, req.Key, req.UploadID)
	if err != nil {
		return nil, err
	}
	lock := &s.completions[place.id[len(place.id)-1]%completionLocks]
	lock.Lock()
	defer lock.Unlock()
	using := s.keys.uses.begin()
	defer using.end()
	mark := cipher.NewWriterID()
	u, err := s.markUpload(ctx, &place, cipher.WriterID{}, mark)
	if err == nil {
		err = using.hold(place.bucket, u.Key)
	}
	if err != nil {
		return nil, err
	}
	r, err := s.completeMarked(ctx, req, u, &place, mark)
	if err != nil {
		_, _ = s.markUpload(context.WithoutCancel(ctx), &place, mark, cipher.WriterID{})
		return nil, err
	}
	return r, nil
}

func checkOrder(parts []CompletedPart) error {
	if len(parts) == 0 || len(parts) > MaxParts {
		return errKindf(KindInvalidArgument, "1 to %d parts", MaxParts)
	}
	for i, p := range parts {
		if p.Number < 1 || p.Number > MaxParts {
			return errKindf(KindInvalidPart, "part %d", p.Number)
		}
		if i > 0 && p.Number <= parts[i-1].Number {
			return errKind(KindInvalidPartOrder)
		}
	}
	return nil
}

// markUpload replaces the mark of an upload. A mark from is replaced only if it is still there; the zero one always.
func (s *Store) markUpload(ctx context.Context, place *uploadPlace, from, to cipher.WriterID) (*uploadRecord, error) {
	var u *uploadRecord
	err := s.opts.Meta.Update(ctx, func(tx *metastore.Tx) (err error) {
		if u, err = readUpload(tx.GetForUpdate, place); err != nil {
			return err
		}
		if !from.IsZero() && u.Completing != from {
			return errKindf(KindOperationAborted, "the upload is being completed by another request")
		}
		u.Completing, u.Run = to, s.run
		return tx.Put(place.metaKey(), encode(u))
	})
	return u, err
}

func (s *Store) completeMarked(ctx context.Context, req *CompleteRequest, u *uploadRecord, place *uploadPlace, mark cipher.WriterID) (*record, error) {
	asm := assembly{upload: u, used: make([]byte, MaxParts/8+1)}
	if err := s.assemble(ctx, &asm, req, place.id); err != nil {
		return nil, err
	}
	r, staged, err := asm.record(req, place.id)
	if err != nil {
		return nil, err
	}
	in, err := s.stagePages(ctx, staged)
	if err != nil {
		return nil, err
	}
	err = s.publish(ctx, req.Bucket, place.bucket, req.Key, r, req.If, func(tx *change) error {
		now, err := readUpload(tx.GetForUpdate, place)
		if err != nil {
			return err
		}
		if now.Completing != mark {
			return errKindf(KindOperationAborted, "the upload is being completed by another request")
		}
		if err := queueUploadRemoval(tx.Tx, place.id, asm.used); err != nil {
			return err
		}
		if in != nil {
			if err := in.clear(tx.Tx); err != nil {
				return err
			}
		}
		if err := tx.uploadKey(place.bucket, now.Key, nil); err != nil {
			return err
		}
		return tx.Delete(place.metaKey())
	})
	if err != nil {
		if in != nil && !leavesOutcomeOpen(err) {
			s.discard(ctx, in)
		}
		return nil, err
	}
	s.collector.wake()
	return r, nil
}

// assembly gathers the object that an upload's parts make.
type assembly struct {
	upload  *uploadRecord
	used    []byte // see removal.Used
	parts   []partEntry
	extents []extent
	size    int64
}

// assemble reads the parts that a request names and checks them against it.
func (s *Store) assemble(ctx context.Context, asm *assembly, req *CompleteRequest, id cipher.UploadID) error {
	want := req.Parts
	var failed error
	err := s.eachPart(ctx, id, want[0].Number, func(number int, p *partRecord) bool {
		if number != want[0].Number {
			return number < want[0].Number
		}
		if failed = asm.add(ctx, s, &want[0], p, len(want) == 1); failed != nil {
			return false
		}
		want = want[1:]
		return len(want) > 0
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case len(want) > 0:
		return errKindf(KindInvalidPart, "part %d was not uploaded", want[0].Number)
	}
	return nil
}

// add appends a part.
func (a *assembly) add(ctx context.Context, s *Store, want *CompletedPart, p *partRecord, last bool) error {
	if trimETag(want.ETag) != etagOf(p.MD5) {
		return errKindf(KindInvalidPart, "part %d has another entity tag", want.Number)
	}
	// An upload begun without an algorithm keeps none for its parts, though each was checked against its own when it came.
	if c := want.Checksum; c.Value != nil && a.upload.Algorithm != 0 && (c.Algorithm != a.upload.Algorithm || !bytes.Equal(c.Value, p.Checksum)) {
		return errKindf(KindInvalidPart, "part %d has another checksum", want.Number)
	}
	if !last && p.Size < MinPartSize {
		return errKindf(KindEntityTooSmall, "part %d has %d bytes, at least %d", want.Number, p.Size, MinPartSize)
	}
	if a.size > MaxObjectSize-p.Size {
		return errKindf(KindEntityTooLarge, "at most %d bytes", int64(MaxObjectSize))
	}
	for off := int64(0); off < p.Size; {
		extents, next, err := s.lookup(ctx, &p.Body, p.Size, off, 1)
		if err != nil {
			return err
		}
		for _, e := range extents {
			e.Offset += a.size
			a.extents = append(a.extents, e)
		}
		off = next
	}
	a.used[want.Number/8] |= 1 << (want.Number % 8)
	a.parts = append(a.parts, partEntry{
		Number: want.Number, Offset: a.size, Size: p.Size, MD5: p.MD5, Checksum: p.Checksum, ModTime: p.ModTime,
	})
	a.size += p.Size
	return nil
}

// record makes the object's record and the pages of its tree and part table.
func (a *assembly) record(req *CompleteRequest, id cipher.UploadID) (*record, []stagedPage, error) {
	if req.Size >= 0 && req.Size != a.size {
		return nil, nil, errKindf(KindInvalidRequest, "the parts have %d bytes, %d were declared", a.size, req.Size)
	}
	sums := md5.New()
	for _, p := range a.parts {
		sums.Write(p.MD5)
	}
	r := &record{
		Object: a.upload.Object, Size: a.size, Meta: a.upload.Meta, Keys: [][]byte{a.upload.Key}, Upload: id,
		Encryption: a.upload.Encryption,
		ETag:       multipartETag(sums.Sum(nil), len(a.parts)),
	}
	var err error
	if r.Checksum, err = a.checksum(req.Checksum); err != nil {
		return nil, nil, err
	}
	var bodyPages, partPages []stagedPage
	if a.size > 0 {
		r.Body, bodyPages = newBody(a.extents)
	}
	r.Parts, partPages = newPartTable(a.parts)
	return r, append(bodyPages, partPages...), nil
}

// checksum makes the object's checksum of those of its parts and compares it with what the client expects.
func (a *assembly) checksum(want Checksum) (storedChecksum, error) {
	if want.Type != 0 && a.upload.Type != 0 && want.Type != a.upload.Type {
		return storedChecksum{}, errKindf(KindInvalidRequest, "the upload was begun with a checksum of type %s", a.upload.Type)
	}
	if a.upload.Algorithm == 0 {
		return storedChecksum{}, nil
	}
	c := storedChecksum{Algorithm: a.upload.Algorithm, Type: a.upload.Type}
	var err error
	if c.Type == checksum.Composite {
		h := c.Algorithm.New()
		for _, p := range a.parts {
			h.Write(p.Checksum)
		}
		c.Value, c.Parts = h.Sum(nil), len(a.parts)
	} else if c.Value, err = a.fullChecksum(c.Algorithm); err != nil {
		return c, err
	}
	if want.Value != nil && (want.Algorithm != c.Algorithm || !bytes.Equal(want.Value, c.Value)) {
		return c, errKindf(KindBadDigest, "%s differs from the object's", c.Algorithm)
	}
	return c, nil
}

func (a *assembly) fullChecksum(alg checksum.Algorithm) ([]byte, error) {
	sum := alg.New().Sum(nil)
	for _, p := range a.parts {
		var err error
		if sum, err = checksum.Combine(alg, sum, p.Checksum, p.Size); err != nil {
			return nil, errKindf(KindCorrupt, "part %d: %w", p.Number, err)
		}
	}
	return sum, nil
}

// stagePages writes the pages of a large object under an intent, in as many transactions as it takes. nil when there
// are none.
func (s *Store) stagePages(ctx context.Context, staged []stagedPage) (*intent, error) {
	if len(staged) == 0 {
		return nil, nil
	}
	in, err := s.intents.take(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range staged {
		in.record.Pages = append(in.record.Pages, p.id)
	}
	err = in.save(ctx)
	for len(staged) > 0 && err == nil {
		n := min(len(staged), pagesPerTransaction)
		err = s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
			for _, p := range staged[:n] {
				if err := tx.Put(pageKey(p.id), p.value); err != nil {
					return err
				}
			}
			return nil
		})
		staged = staged[n:]
	}
	if err != nil {
		s.discard(ctx, in)
		return nil, err
	}
	return in, nil
}
