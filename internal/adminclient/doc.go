// Package adminclient speaks the administration API of a Coffer server.
//
// # Duty
//
// A Client signs requests (Signature Version 4, service s3, with an empty region, which the administration takes in every
// region), sends them, and decodes what comes back. There is a method for each route that the command line uses. An answer is
// the document as it came, for scripts, together with what this package knows of it; unknown fields are kept in the former and
// ignored in the latter, so that a client may be older than its server.
//
// # What it does not do
//
// It finds no endpoint and no credentials, prints nothing, asks nobody, and repeats no request: most of them change
// something. A time limit is the caller's, by the context.
//
// # Errors
//
// An *Error is a refusal of the server, with its code. An *UnreachableError says that no server answered.
//
// # Concurrency and ownership
//
// A Client is safe for concurrent use. It keeps the secret key that it was given, and shows it to nobody.
//
// docs/admin-api.md describes the routes.
package adminclient
