package object

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"coffer/cipher"
)

// streamUnit is how many plaintext bytes move from one stage of a stream to the next; streamDepth of them may wait
// between two stages.
const (
	streamUnit  = 256 << 10
	streamDepth = 1
)

// pendingBody is a body that is durable, but named by nothing: published by put within a transaction, or aborted.
type pendingBody struct {
	body    body
	size    int64
	digests digests
	inline  []byte       // the sealed chunk for the metastore, or nil
	pages   []stagedPage // of a body with many extents
	intent  *intent      // nil when there is no chunk file
}

// put writes what belongs to the body in the transaction that publishes it.
func (p *pendingBody) put(tx *change) error {
	if p.inline != nil {
		if err := tx.Put(dataKey(p.body.Extents[0].Chunk), p.inline); err != nil {
			return err
		}
	}
	for _, pg := range p.pages {
		if err := tx.Put(pageKey(pg.id), pg.value); err != nil {
			return err
		}
	}
	if p.intent != nil {
		return p.intent.clear(tx.Tx)
	}
	return nil
}

// tag returns what the entity tag is made of: the MD5, or random bytes where it must not tell the plaintext.
func (p *pendingBody) tag(e storedEncryption) []byte {
	if e.wantsMD5() {
		return p.digests.md5
	}
	return randomMD5()
}

// abandon removes the body after cause kept it from being published. When it is not known whether the transaction was
// applied everything stays: the next start decides by the intent.
func (s *Store) abandon(ctx context.Context, p *pendingBody, cause error) {
	if p.intent != nil && !leavesOutcomeOpen(cause) {
		s.discard(ctx, p.intent)
	}
}

// incoming is a body on its way in, and what it must be.
type incoming struct {
	src      io.Reader
	size     int64 // declared, or -1
	limit    int64
	unproven bool
	want     Digests
	work     worker
	tagMD5   bool // the entity tag is the MD5; else it is computed only if the client sent one
}

// digester hashes what the entity tag and the client ask for, and nothing else.
func (in *incoming) digester() *digester {
	return newDigester(in.want.Algorithm, in.tagMD5 || in.want.MD5 != nil)
}

// receive seals a body under key, as it arrives, and verifies its length and digests. Nothing is left behind on error.
func (s *Store) receive(ctx context.Context, key *cipher.DataKey, in *incoming) (*pendingBody, error) {
	if in.size > in.limit {
		return nil, errKindf(KindEntityTooLarge, "%d bytes, at most %d", in.size, in.limit)
	}
	room := max(in.size, 0)
	if in.unproven {
		room = min(room, grantStep)
	}
	g, err := s.space.admit(ctx, room)
	if err != nil {
		return nil, err
	}
	defer g.release()
	r := &boundedReader{src: in.src, declared: in.size, limit: in.limit}
	d := in.digester()
	unit := s.units.take(in.size)
	defer s.units.put(unit)
	n, err := io.ReadFull(r, unit.bytes)
	switch {
	case (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)) && r.ended && n <= s.opts.InlineLimit:
		if err := errors.Join(in.work.check(), g.spend(ctx, int64(n))); err != nil {
			return nil, err
		}
		return s.receiveInline(ctx, key, unit.bytes[:n], d, in)
	case err != nil && !r.ended:
		return nil, err
	}
	return s.receiveStream(ctx, key, unit.bytes[:n], r, d, in, g)
}

// receiveInline seals a small body into one chunk for the metastore.
func (s *Store) receiveInline(ctx context.Context, key *cipher.DataKey, plaintext []byte, d *digester, in *incoming) (*pendingBody, error) {
	d.write(plaintext)
	p := &pendingBody{size: int64(len(plaintext)), digests: d.sums()}
	if err := in.want.verify(p.digests); err != nil {
		return nil, err
	}
	if len(plaintext) == 0 {
		return p, nil
	}
	id, start := cipher.NewChunkID(), time.Now()
	sealed, err := cipher.SealChunk(nil, key, id, s.opts.FrameSize, plaintext)
	in.work.did(ctx, p.size, start, err)
	if err != nil {
		return nil, err
	}
	p.inline = sealed
	p.body = body{ID: cipher.NewBodyID(), Extents: []extent{{Length: p.size, Chunk: id, Place: inMetastore}}}
	return p, nil
}

// receiveStream seals a body into chunk files: first, then the rest of r.
func (s *Store) receiveStream(ctx context.Context, key *cipher.DataKey, first []byte, r io.Reader, d *digester, in *incoming, g *grant) (*pendingBody, error) {
	w, err := s.newBodyWriter(ctx, key, in.work.mode, g)
	if err != nil {
		return nil, err
	}
	w.worker = in.work
	p, err := s.seal(ctx, w, first, r, d, in.want)
	if err != nil {
		w.abort(ctx)
		return nil, err
	}
	return p, nil
}

func (s *Store) seal(ctx context.Context, w *bodyWriter, first []byte, r io.Reader, d *digester, want Digests) (*pendingBody, error) {
	if err := s.stream(ctx, w, first, r, d); err != nil {
		return nil, err
	}
	sums := d.sums()
	if err := want.verify(sums); err != nil {
		return nil, err
	}
	if err := w.finish(ctx); err != nil {
		return nil, err
	}
	p := &pendingBody{size: w.size, digests: sums, intent: w.intent}
	p.body, p.pages = newBody(w.extents)
	return p, nil
}

// stream moves the plaintext through three stages that overlap: reading, hashing, sealing and writing.
func (s *Store) stream(ctx context.Context, w *bodyWriter, first []byte, r io.Reader, d *digester) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	read, hashed := make(chan *unit, streamDepth), make(chan *unit, streamDepth)
	var stages sync.WaitGroup
	stages.Go(func() {
		defer close(hashed)
		d.write(first)
		for u := range read {
			d.write(u.bytes)
			hashed <- u // the last stage takes all that comes
		}
	})
	stages.Go(func() {
		err := w.write(ctx, first)
		for u := range hashed {
			if err == nil {
				err = w.write(ctx, u.bytes)
			}
			s.units.put(u)
			if err != nil {
				stop(err)
			}
		}
		if err != nil {
			stop(err)
		}
	})
	err := s.readUnits(reading, r, read)
	close(read)
	stages.Wait()
	if cause := context.Cause(reading); cause != nil {
		return cause
	}
	return err
}

// readUnits reads r to its end and sends it on in units.
func (s *Store) readUnits(ctx context.Context, r io.Reader, to chan<- *unit) error {
	for {
		u := s.units.take(-1)
		n, err := io.ReadFull(r, u.bytes)
		u.bytes = u.bytes[:n]
		if n == 0 || (err != nil && err != io.ErrUnexpectedEOF) {
			s.units.put(u)
			if err == io.EOF {
				return nil
			}
			return err
		}
		select {
		case to <- u:
		case <-ctx.Done():
			s.units.put(u)
			return context.Cause(ctx)
		}
		if err == io.ErrUnexpectedEOF {
			return nil
		}
	}
}

// boundedReader holds a body to its declared length, or to a limit when none was declared.
type boundedReader struct {
	src      io.Reader
	declared int64 // or -1
	limit    int64
	n        int64
	ended    bool // the end was reached, and it was the right one
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.ended {
		return 0, io.EOF
	}
	n, err := r.src.Read(p)
	r.n += int64(n)
	switch {
	case r.declared >= 0 && r.n > r.declared:
		return 0, errKindf(KindIncompleteBody, "body goes on after its declared %d bytes", r.declared)
	case r.n > r.limit:
		return 0, errKindf(KindEntityTooLarge, "at most %d bytes", r.limit)
	case err == io.EOF && r.n < r.declared:
		return n, errKindf(KindIncompleteBody, "body ended after %d of %d bytes", r.n, r.declared)
	case err == io.EOF:
		r.ended = true
		return n, err
	case err != nil:
		return n, errKindf(KindIncompleteBody, "read body: %w", err)
	}
	return n, nil
}
