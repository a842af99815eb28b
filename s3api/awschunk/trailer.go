package awschunk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"

	"coffer/s3api/s3err"
)

const (
	trailerSignature = "x-amz-trailer-signature"
	maxBlankLines    = 2
)

// Trailer is one trailing header; the name is in lower case.
type Trailer struct {
	Name, Value string
}

// trailers are those announced and those that came.
type trailers struct {
	want []string // lower case
	got  []Trailer
}

func announced(values []string) trailers {
	var t trailers
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name != "" && name != trailerSignature && !slices.Contains(t.want, name) {
				t.want = append(t.want, name)
			}
		}
	}
	return t
}

// Trailers gives the trailers that arrived, in their order. They are complete and
// verified after Read has returned io.EOF, and nil before.
func (r *Reader) Trailers() []Trailer {
	if r.err != io.EOF {
		return nil
	}
	return slices.Clone(r.trailers.got)
}

// Trailer gives the value of a trailer by its name in lower case, after io.EOF.
func (r *Reader) Trailer(name string) (string, bool) {
	for _, t := range r.Trailers() {
		if t.Name == name {
			return t.Value, true
		}
	}
	return "", false
}

// finish checks everything that stands behind the header of the last chunk. Its
// success is io.EOF.
func (r *Reader) finish() error {
	if r.missing != 0 {
		return s3err.New(s3err.IncompleteBody)
	}
	if err := r.verifyChunk(); err != nil {
		return err
	}
	var err error
	switch r.mode {
	case Signed:
		err = r.readFinalCRLF()
	case SignedTrailer:
		err = r.readSignedTrailers()
	case UnsignedTrailer:
		err = r.readUnsignedTrailers()
	}
	if err != nil {
		return err
	}
	if len(r.trailers.got) != len(r.trailers.want) {
		return s3err.New(s3err.MalformedTrailerError)
	}
	switch _, err := r.br.ReadByte(); {
	case err == nil:
		return errGoesOn()
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return incomplete(err)
	}
}

// readFinalCRLF reads the CRLF that ends the body, or its end.
func (r *Reader) readFinalCRLF() error {
	line, err := r.trailerLine()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case len(line) != 0:
		return errGoesOn()
	}
	return nil
}

func (r *Reader) readUnsignedTrailers() error {
	for {
		line, err := r.trailerLine()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		}
		name, value, ok := splitTrailer(line)
		if !ok || !r.trailers.add(name, value) {
			return s3err.New(s3err.MalformedTrailerError)
		}
	}
}

func (r *Reader) readSignedTrailers() error {
	for blank := 0; ; {
		line, err := r.trailerLine()
		switch {
		case errors.Is(err, io.EOF):
			return incomplete(err)
		case err != nil:
			return err
		case len(line) == 0:
			if blank++; blank > maxBlankLines {
				return s3err.New(s3err.MalformedTrailerError)
			}
			continue
		}
		name, value, ok := splitTrailer(line)
		if ok && name == trailerSignature {
			if !r.verify.VerifyTrailer(r.trailers.canonicalSum(), value) {
				return s3err.New(s3err.SignatureDoesNotMatch)
			}
			return r.readFinalCRLF()
		}
		if !ok || !r.trailers.add(name, value) {
			return s3err.New(s3err.MalformedTrailerError)
		}
	}
}

// trailerLine reads a line that ends in LF or CRLF. io.EOF, and that alone, says
// that the body ended before the line began.
func (r *Reader) trailerLine() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil, io.EOF
		}
		return nil, incomplete(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func splitTrailer(line []byte) (name, value string, ok bool) {
	name, value, ok = strings.Cut(string(line), ":")
	return strings.ToLower(name), strings.Trim(value, " \t"), ok
}

// add takes a trailer that was announced and has not come yet.
func (t *trailers) add(name, value string) bool {
	if !slices.Contains(t.want, name) {
		return false
	}
	if slices.ContainsFunc(t.got, func(g Trailer) bool { return g.Name == name }) {
		return false
	}
	t.got = append(t.got, Trailer{Name: name, Value: value})
	return true
}

// canonicalSum is the SHA-256 of the canonical form.
func (t *trailers) canonicalSum() [sha256.Size]byte {
	sorted := slices.SortedFunc(slices.Values(t.got), func(a, b Trailer) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	for _, g := range sorted {
		b = append(b, g.Name+":"+g.Value+"\n"...)
	}
	return sha256.Sum256(b)
}

func errGoesOn() *s3err.Error {
	return s3err.Newf(s3err.InvalidRequest, "The request body goes on after its final chunk")
}
