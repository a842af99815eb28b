// Package awschunk decodes aws-chunked bodies, the framing that S3 clients put
// inside the HTTP body when x-amz-content-sha256 is STREAMING-…: chunks that are
// signed one by one, or unsigned, with or without trailers. io.Reader in,
// io.Reader out; no HTTP library.
//
// # Use
//
//	r, err := awschunk.NewReader(body, awschunk.Options{
//		Mode:          awschunk.SignedTrailer,
//		DecodedLength: n,                      // x-amz-decoded-content-length
//		Chunks:        verification.Chunks(),  // sigv4; nil for UnsignedTrailer
//		Trailers:      values,                 // all values of x-amz-trailer
//	})
//	…                                          // read to io.EOF
//	sum, ok := r.Trailer("x-amz-checksum-crc32")
//
// # What a reader may rely on
//
// Bytes are handed on before the signature of their chunk can be known, because
// a chunk may be larger than any buffer. So what Read returns is proven only when
// Read has returned io.EOF: the caller must not commit, acknowledge or act on the
// data before. After io.EOF all of this holds: every chunk signature and the
// trailer signature were right (signed modes), the data has exactly
// DecodedLength bytes, every trailer announced in x-amz-trailer arrived and no
// other, and the body ended there. The checksum in a trailer is not computed
// here; the caller compares it with its own.
//
// Reader holds one small buffer, whatever a chunk claims as its size; no read of
// payload goes through it except what was read ahead with a chunk's header.
//
// # Grammar
//
//	body    = *chunk last [ trailers ] [ CRLF ]
//	chunk   = size [ ";chunk-signature=" 64HEX ] CRLF data CRLF
//	last    = "0"  [ ";chunk-signature=" 64HEX ] CRLF
//	trailers= *( name ":" value LF ) [ "x-amz-trailer-signature:" 64HEX CRLF ]
//
// chunk-signature stands in both signed modes and in no other. A trailer line may
// end in LF or CRLF, and up to two blank lines may stand before
// x-amz-trailer-signature: minio-go sends "name:value\n\r\n". The very last CRLF
// may be missing: what it would end is complete already. Anything behind it is an
// error. Every data chunk but the last has at least 8192 bytes, as in S3. Header
// and trailer lines are at most 1024 bytes.
//
// The string that a trailer's signature covers is made of one line name:value LF
// for each trailer, names in lower case, values trimmed, sorted by name.
//
// # Errors
//
// Every error about the body is a *s3err.Error; errors of the underlying reader
// are passed on, except that a premature end is IncompleteBody. Codes are those
// that Amazon S3 gives (versity/versitygw#1660, #1666, #1683 record them):
//
//   - IncompleteBody: the body ends early, its framing is broken, or its data is
//     longer or shorter than DecodedLength;
//   - InvalidChunkSizeError: a chunk below 8192 bytes that is not the last;
//   - SignatureDoesNotMatch: a chunk's or the trailer's signature is wrong;
//   - MalformedTrailerError: a trailer that was not announced, is missing, stands
//     twice, or is no "name:value";
//   - InvalidRequest: something follows the final chunk, or the mode and
//     x-amz-trailer contradict each other;
//   - MissingContentLength: DecodedLength is negative.
//
// The first error is final: every later Read repeats it.
//
// A Reader is used by one goroutine. It does not close the underlying reader.
//
// Format: Amazon S3 API Reference, "Signature Calculations for the Authorization
// Header: Transferring Payload in Multiple Chunks" and "… Including Trailing
// Headers".
package awschunk
