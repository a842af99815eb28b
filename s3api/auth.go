package s3api

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// authenticate verifies everything about a request that can be verified without its body. For requests with
// x-amz-content-sha256 that is all that matters; others stay unproven until proofBody has seen the end of the body.
func (s *Server) authenticate(c *call) error {
	ver, err := s.verifier.Begin(&sigv4.Request{
		Method: c.method, RawPath: c.rawPath, RawQuery: c.rawQuery, Host: c.host, Header: c.header,
		NoBody: c.body.none(), AnyRegion: c.route.anyRegion, EmptyRegion: c.route.admin,
	})
	if err != nil {
		return err
	}
	if !ver.Proven() && c.body.length > s.opts.MaxUnprovenBody {
		return s3err.Newf(s3err.EntityTooLarge, "A body of this size must be declared in x-amz-content-sha256.")
	}
	c.ver = ver
	return nil
}

// proofBody is the request body, hashed as sent. At its end it gives io.EOF only when the hash is what was signed or
// declared; so whoever reads it to io.EOF before committing commits nothing unproven.
type proofBody struct {
	src io.Reader
	ver *sigv4.Verification
	sum hash.Hash
	err error // final
}

func newProofBody(src io.Reader, ver *sigv4.Verification) *proofBody {
	return &proofBody{src: src, ver: ver, sum: sha256.New()}
}

func (b *proofBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.sum.Write(p[:n])
	if err == io.EOF {
		var sum [sha256.Size]byte
		b.sum.Sum(sum[:0])
		if verdict := b.ver.Finish(sum); verdict != nil {
			err = verdict
		}
	}
	b.err = err
	return n, err
}

// rawBody is the body as sent, with its proof where one is due.
func (c *call) rawBody() io.Reader {
	if c.body.none() || !c.ver.NeedsBodySHA256() {
		return c.body
	}
	if c.proof == nil {
		c.proof = newProofBody(c.body, c.ver)
	}
	return c.proof
}

// proveUnwanted reads a body that the operation has no use for, when the request is unproven without it.
func (c *call) proveUnwanted() error {
	if c.ver.Proven() {
		return nil
	}
	switch _, err := io.CopyN(io.Discard, c.rawBody(), maxDrainBytes+1); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	default:
		return s3err.New(s3err.MaxMessageLengthExceeded)
	}
}

// proveOrHide decides whether an error may be told: while a request is unproven nobody knows who asks, and whether a
// bucket exists is nothing for strangers. A small rest of the body is read to prove the request after all.
func (c *call) proveOrHide(err error) error {
	if c.ver == nil || c.ver.Proven() {
		return err
	}
	if c.conn != nil {
		c.conn.boundReads(maxDrainTime)
	}
	_, bodyErr := io.CopyN(io.Discard, c.rawBody(), maxDrainBytes+1)
	switch e, ok := errors.AsType[*s3err.Error](bodyErr); {
	case c.ver.Proven():
		return err
	case ok:
		return e
	default:
		return s3err.New(s3err.AccessDenied)
	}
}
