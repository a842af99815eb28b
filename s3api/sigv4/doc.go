// Package sigv4 verifies AWS Signature Version 4 as Amazon S3 uses it: the
// Authorization header and presigned URLs. It is pure: no clock of its own
// besides Options.Now, no I/O, no HTTP library. It does not authorize: it says
// who signed, and that what was signed is what arrived.
//
// # Use
//
//	v := sigv4.New(lookup, sigv4.Options{Region: "us-east-1"})
//
//	req := &sigv4.Request{
//		Method:   "PUT",
//		RawPath:  "/bucket/a%20key",      // exactly as on the wire, without "?…"
//		RawQuery: "partNumber=1",         // exactly as on the wire
//		Host:     "localhost:9000",
//		Header:   fields,                 // every field received, in order
//		NoBody:   false,
//	}
//	ver, err := v.Begin(req)              // before a byte of the body is read
//	if err != nil { render err }          // always a *s3err.Error
//
//	body := raw body
//	switch ver.Payload {
//	case sigv4.PayloadSigned, sigv4.PayloadSignedTrailer:
//		body = awschunk.NewReader(…, Verifier: ver.Chunks())
//	case sigv4.PayloadUnsignedTrailer:
//		body = awschunk.NewReader(…)
//	}
//	if ver.NeedsBodySHA256() { hash the body while it is stored }
//	…
//	if err := ver.Finish(sum); err != nil { abort, nothing is committed }
//
// A request without any signature gives an error that wraps [ErrAnonymous].
//
// # Two steps
//
// Begin checks everything that can be checked without the body: form, dates,
// region, scope, which headers are signed, the access key, and the signature
// whenever the request declares what its payload line is. Two cases need the
// body's own SHA-256, and then NeedsBodySHA256 is true and the caller must
// call Finish with it before it commits anything or tells anything:
//
//   - the request declares a SHA-256 in x-amz-content-sha256: the signature is
//     already verified, Finish compares the hash (XAmzContentSHA256Mismatch);
//   - the request has no x-amz-content-sha256 at all (curl before 8 with
//     --aws-sigv4): the signature covers the hash of the body, so nothing is
//     proven before Finish. Proven is false until then. Until it is, the caller
//     holds an unauthenticated request, whose body it should bound as such and
//     to which it reveals nothing. curl 7.88 signs -T uploads as if they were
//     empty; Finish refuses those, and its message names the way out.
//
// With NoBody set both are decided inside Begin.
//
// # Canonical form
//
// As the S3 API Reference, "Authenticating Requests (AWS Signature Version 4)":
//
//   - path: percent-decoded once and re-encoded once, '/' kept, no
//     normalisation of "..", "." or "//"; '+' in a path is a plus;
//   - query: split at '&', decoded ('+' is a space), re-encoded, sorted by
//     encoded name and then encoded value; X-Amz-Signature left out;
//   - headers: names in lower case and sorted; values of repeated fields joined
//     by ',' in the order received; runs of blanks inside a value are one space,
//     blanks around it are removed;
//   - a header that is listed as signed and did not arrive counts as empty.
//
// [UnescapePath] and [ParseQuery] are the decoders used here; the caller routes
// by the same ones, so that what is served is what was signed.
//
// # Strictness
//
// host must be signed. Every x-amz-* field that arrives must be signed, in
// header and in query authentication alike; otherwise AccessDenied "There were
// headers present in the request which were not signed", with HeadersNotSigned.
// That is what Amazon S3 answers (soto-project/soto#374,
// apache/arrow-rs-object-store#484) and what its reference demands; MinIO asks
// it of x-amz-meta-* in presigned URLs only. x-amz-content-sha256 is exempt, as
// in S3: its value is a line of the canonical request whether listed or not.
// Content-MD5 and Content-Type may stay unsigned, as in S3 ("recommended").
//
// HTTP libraries keep Host, Content-Length, Transfer-Encoding and Expect apart
// from the other fields; a client may have signed them. The caller puts them
// back into Header (Host goes into Request.Host).
//
// # Secrets
//
// [Secret] and the signing key inside [ChunkVerifier] print as "[redacted]".
// Signatures are compared in constant time. Error details of
// SignatureDoesNotMatch carry the canonical request, as in S3, except when a
// field that holds a key or token is signed.
//
// The signing key is derived anew for every request: four of the five HMACs,
// about a third of the 9 µs that Begin takes, which is nothing beside a request
// over HTTP. A cache would keep derived keys of removed secrets alive.
//
// A Verifier is safe for concurrent use. A Verification belongs to one request.
package sigv4
