package awschunk_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"coffer/s3api/awschunk"
)

// chain is a signing client and a verifier in one: the construction of S3 with a
// fixed key and without date and scope, which are not this package's concern.
type chain struct {
	prev string
}

func (c *chain) sign(kind string, sum [32]byte) string {
	m := hmac.New(sha256.New, []byte("key"))
	fmt.Fprintf(m, "%s %s %x", kind, c.prev, sum)
	c.prev = hex.EncodeToString(m.Sum(nil))
	return c.prev
}

func (c *chain) VerifyChunk(sum [32]byte, signature string) bool {
	return c.sign("chunk", sum) == signature
}

func (c *chain) VerifyTrailer(sum [32]byte, signature string) bool {
	return c.sign("trailer", sum) == signature
}

// body is an aws-chunked body to be.
type body struct {
	mode     awschunk.Mode
	chunks   []string
	trailers []awschunk.Trailer
}

func (b body) data() string { return strings.Join(b.chunks, "") }

func (b body) names() []string {
	var names []string
	for _, t := range b.trailers {
		names = append(names, t.Name)
	}
	return names
}

func (b body) options() awschunk.Options {
	o := awschunk.Options{Mode: b.mode, DecodedLength: int64(len(b.data())), Trailers: b.names()}
	if b.mode != awschunk.UnsignedTrailer {
		o.Chunks = &chain{}
	}
	return o
}

// encode writes the body as the SDKs do.
func (b body) encode() string {
	var out strings.Builder
	c := &chain{}
	for _, data := range append(slices.Clone(b.chunks), "") {
		fmt.Fprintf(&out, "%x", len(data))
		if b.mode != awschunk.UnsignedTrailer {
			out.WriteString(";chunk-signature=" + c.sign("chunk", sha256.Sum256([]byte(data))))
		}
		out.WriteString("\r\n" + data)
		if data != "" {
			out.WriteString("\r\n")
		}
	}
	for _, t := range b.trailers {
		out.WriteString(t.Name + ":" + t.Value + "\r\n")
	}
	if b.mode == awschunk.SignedTrailer {
		out.WriteString("x-amz-trailer-signature:" + c.sign("trailer", canonical(b.trailers)) + "\r\n")
	}
	return out.String() + "\r\n"
}

func canonical(trailers []awschunk.Trailer) [32]byte {
	var lines []string
	for _, t := range trailers {
		lines = append(lines, strings.ToLower(t.Name)+":"+strings.TrimSpace(t.Value)+"\n")
	}
	slices.Sort(lines)
	return sha256.Sum256([]byte(strings.Join(lines, "")))
}

// decode reads everything through buffers of the given size.
func decode(r io.Reader, o awschunk.Options, size int) (string, *awschunk.Reader, error) {
	cr, err := awschunk.NewReader(r, o)
	if err != nil {
		return "", nil, err
	}
	var out []byte
	buf := make([]byte, size)
	for {
		n, err := cr.Read(buf)
		out = append(out, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return string(out), cr, nil
		}
		if err != nil {
			return string(out), cr, err
		}
	}
}
