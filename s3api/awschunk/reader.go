package awschunk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strconv"

	"coffer/s3api/s3err"
)

// Mode is a form of aws-chunked.
type Mode uint8

// The forms, by the value of x-amz-content-sha256.
const (
	Signed          Mode = iota + 1 // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	SignedTrailer                   // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	UnsignedTrailer                 // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

func (m Mode) signed() bool { return m == Signed || m == SignedTrailer }

// ChunkVerifier checks the chain of signatures; sigv4.ChunkVerifier is one. Each
// method compares in constant time and moves on along the chain.
type ChunkVerifier interface {
	VerifyChunk(sum [32]byte, signature string) bool
	VerifyTrailer(sum [32]byte, signature string) bool
}

// Options of a Reader.
type Options struct {
	Mode          Mode
	DecodedLength int64         // bytes of data, from x-amz-decoded-content-length
	Chunks        ChunkVerifier // required in the signed modes
	Trailers      []string      // the values of x-amz-trailer; each may list several names
}

const (
	maxLine      = 1024 // bytes of a header or trailer line
	minChunkSize = 8192 // bytes of every data chunk but the last
	sigPrefix    = ";chunk-signature="
	sigLength    = 64

	maxEmptyReads = 100
)

// Reader gives the data of an aws-chunked body.
type Reader struct {
	br       *bufio.Reader
	mode     Mode
	verify   ChunkVerifier
	sum      hash.Hash // of the current chunk; nil in UnsignedTrailer
	trailers trailers

	left      int64  // bytes of the current chunk still to come
	missing   int64  // bytes of DecodedLength not yet announced by chunk headers
	chunks    int    // data chunks begun
	size      int64  // of the current chunk
	signature string // of the current chunk
	err       error  // final
}

// NewReader returns a Reader over body. Nothing is read yet.
func NewReader(body io.Reader, o Options) (*Reader, error) {
	if o.DecodedLength < 0 {
		return nil, s3err.New(s3err.MissingContentLength)
	}
	t := announced(o.Trailers)
	switch {
	case o.Mode < Signed || o.Mode > UnsignedTrailer || o.Mode.signed() && o.Chunks == nil:
		return nil, errors.New("awschunk: options without a mode or a verifier")
	case o.Mode == Signed && len(t.want) > 0:
		return nil, s3err.Newf(s3err.InvalidRequest, "x-amz-trailer was sent with a payload that has no trailer")
	case o.Mode == SignedTrailer && len(t.want) == 0:
		return nil, s3err.New(s3err.MalformedTrailerError)
	}
	r := &Reader{
		br:       bufio.NewReaderSize(body, maxLine),
		mode:     o.Mode,
		verify:   o.Chunks,
		missing:  o.DecodedLength,
		trailers: t,
	}
	if o.Mode.signed() {
		r.sum = sha256.New()
	}
	return r, nil
}

// Read gives data of the current chunk. See the package documentation for when
// it may be believed.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.read(p)
	if err != nil {
		r.err = err
	}
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	if r.left == 0 {
		if err := r.nextChunk(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.some(p)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	r.left -= int64(n)
	if n > 0 {
		return n, nil // an error comes again with the next read
	}
	return 0, incomplete(err)
}

// some reads at least one byte or gives an error, io.ErrNoProgress where the
// underlying reader gives neither.
func (r *Reader) some(p []byte) (int, error) {
	for range maxEmptyReads {
		if n, err := r.br.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// nextChunk ends the current chunk and reads the header of the next; io.EOF
// after the last one and all that follows it.
func (r *Reader) nextChunk() error {
	if r.chunks > 0 {
		if err := r.endChunk(); err != nil {
			return err
		}
	}
	line, err := r.line()
	if err != nil {
		return err
	}
	size, err := r.parseHeader(line)
	if err != nil {
		return err
	}
	switch {
	case size == 0:
		return r.finish()
	case r.chunks > 0 && r.size < minChunkSize:
		return s3err.New(s3err.InvalidChunkSizeError).
			With("Chunk", strconv.Itoa(r.chunks+1)).
			With("BadChunkSize", strconv.FormatInt(r.size, 10))
	case size > r.missing:
		return s3err.New(s3err.IncompleteBody)
	}
	r.chunks++
	r.size, r.left = size, size
	r.missing -= size
	return nil
}

// endChunk reads the CRLF behind a chunk's data and verifies its signature.
func (r *Reader) endChunk() error {
	var crlf [2]byte
	if _, err := io.ReadFull(r.br, crlf[:]); err != nil {
		return incomplete(err)
	}
	if crlf != [2]byte{'\r', '\n'} {
		return s3err.New(s3err.IncompleteBody)
	}
	return r.verifyChunk()
}

func (r *Reader) verifyChunk() error {
	if r.sum == nil {
		return nil
	}
	var sum [sha256.Size]byte
	r.sum.Sum(sum[:0])
	r.sum.Reset()
	if !r.verify.VerifyChunk(sum, r.signature) {
		return s3err.New(s3err.SignatureDoesNotMatch)
	}
	return nil
}

// parseHeader reads size and signature of a chunk.
func (r *Reader) parseHeader(line []byte) (int64, error) {
	digits, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok {
		return 0, s3err.New(s3err.IncompleteBody)
	}
	if r.mode.signed() {
		var sig []byte
		digits, sig, _ = bytes.Cut(digits, []byte(sigPrefix))
		if len(sig) != sigLength {
			return 0, s3err.New(s3err.IncompleteBody)
		}
		r.signature = string(sig)
	}
	return parseSize(digits)
}

// parseSize reads 1 to 16 hex digits whose value fits an int64.
func parseSize(digits []byte) (int64, error) {
	if len(digits) == 0 || len(digits) > 16 {
		return 0, s3err.New(s3err.IncompleteBody)
	}
	var n uint64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s3err.New(s3err.IncompleteBody)
		}
		n = n<<4 | uint64(c)
	}
	if n > 1<<63-1 {
		return 0, s3err.New(s3err.IncompleteBody)
	}
	return int64(n), nil
}

// line reads up to LF, which is cut off. The result is valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if err != nil {
		return nil, incomplete(err)
	}
	return line[:len(line)-1], nil
}

// incomplete turns a premature end or an overlong line into IncompleteBody, and
// leaves other errors alone. The result never is io.EOF in the sense of
// errors.Is: a cut body must not pass for a complete one.
func incomplete(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s3err.Wrap(s3err.IncompleteBody, io.ErrUnexpectedEOF)
	case errors.Is(err, bufio.ErrBufferFull):
		return s3err.Wrap(s3err.IncompleteBody, err)
	}
	return err
}
