// Package strictcbor encodes what is stored: CBOR (RFC 8949) in core deterministic encoding, decoded strictly. Repeated
// and unknown fields, indefinite lengths, tags, trailing bytes and sizes over the limits are errors.
//
// A Codec is immutable and safe for concurrent use. Formats are written down where they are used.
package strictcbor
