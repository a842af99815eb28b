// Package admin is the administration API of the S3 listener: keys, key backends, rewrap and census, as JSON over HTTP.
//
// # Duty
//
// An API turns a Request into a Response. Which handler serves what is data (routes.go): every route of
// /rustfs/admin/v3/ has a twin under /minio/admin/v3/, and the routes that MinIO's clients call today are under
// /minio/kms/v1/. A handler parses, calls the key manager or the engine, and gives a document; errors become
// {"code","message","description"} in one place (answer.go), with the codes of kms.Kind.Codes.
//
// # What it does not do
//
// It speaks no HTTP and verifies no signature: package s3api calls Serve with requests whose signature and body are
// proven, and Deny and Refuse for those that are refused. It keeps no log: Options.Audit records every request before it is
// answered, and what cannot be recorded is not done; Options.Observe is told of every one.
//
// # Two vocabularies
//
// Two generations of clients disagree on the field "status" of kms/status. Who configured last decides: after a body
// with "kms_type" it is OK, Degraded or Failed, after one with "backend_type" it is Running, Configured, NotConfigured or
// Error. All other fields of both are always there.
//
// # Secrets
//
// Tokens and keys of requests go into secret.Value at once. No answer repeats one, except those that were asked for a data
// key.
//
// # Concurrency and ownership
//
// An API is safe for concurrent use and starts no goroutine. Requests and responses belong to the caller.
//
// docs/admin-api.md describes every route.
package admin
