// Package s3api is the S3 front door: HTTP requests in, calls of object.Store, HTTP answers out.
//
// # The way of a request
//
//	bytes → call → route → verified signature → one or two engine calls → answer
//
// Everything that fasthttp lends is copied at the parse boundary (newCall); nothing of it survives its handler except
// the streams that fasthttp itself closes. The raw request target is routed and signed as it came: fasthttp's URI
// parser never sees it, so "..", "//" and "%2F" mean what the client wrote. Which handler serves a request is data
// (routes.go); a handler parses, calls the engine and renders, in that order.
//
// # Authentication
//
// Every operation wants Signature Version 4, in a header or a presigned URL, checked before a byte of the body is
// used. Where only the body can prove a request (no x-amz-content-sha256, as curl before 8 sends it), the body is
// stored but not published until its end has proven it, and nothing is told about buckets or objects before.
// Health endpoints need no signature. Who may do what beyond that is not decided here: whoever signs may do all.
//
// # Unread bodies
//
// fasthttp would parse what a handler leaves unread as the next request. settle (unread.go) is the one place that
// every answer passes: it drains a small rest, or closes the connection after a short linger.
//
// # What is not built
//
// Sub-resources that were never set answer what Amazon S3 answers for "not set"; everything else that is not built
// answers NotImplemented and changes nothing. A request with a query parameter that its operation does not have is
// NotImplemented too when it looks like a sub-resource (no value, or a known name) and, for requests that write,
// whatever it looks like: an unknown sub-resource never becomes a PutObject. Other unknown parameters of reads are
// ignored, as in S3.
//
// ACLs are disabled, as in a new bucket of S3. What a request says about them may be what is so anyway: x-amz-acl
// private or bucket-owner-full-control, or a policy that gives the owner FULL_CONTROL and nobody else anything, as
// s3cmd writes it behind each copy. Everything else is AccessControlListNotSupported.
//
// # Encryption
//
// The fields of server-side encryption are read in one place (sse.go) before a handler runs, and a row of routes.go says
// which of them its operation takes; docs/sse.md is their table. A client's key lives from there to the end of the
// handler, which is when it is wiped, and comes over a connection that nobody else could read. Which key an object gets
// is the engine's to decide.
//
// # Concurrency and ownership
//
// A Server is safe for concurrent use. It owns its listeners, its connections and the goroutine of each; Shutdown
// waits for all of them. A call belongs to one goroutine.
//
// Source of the rules: Amazon S3 API Reference; where it is silent, answers seen from Amazon S3, named beside the code.
package s3api
