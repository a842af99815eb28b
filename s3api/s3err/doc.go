// Package s3err is the vocabulary of errors that the S3 front door speaks: a
// table from each S3 error code to its HTTP status and default message, and
// one error type that carries a code through the layers above object.
//
// It renders nothing: s3xml writes the <Error> document and the server sets
// status and headers. It maps no engine errors either; that switch lives in
// s3api, next to the only caller that knows both vocabularies.
//
// # Use
//
//	return s3err.New(s3err.NoSuchKey)                        // default message
//	return s3err.Newf(s3err.InvalidArgument, "max-keys …")   // own message
//	return s3err.Wrap(s3err.InternalError, err)              // keeps the cause for logs
//	return s3err.New(s3err.InvalidArgument).With("ArgumentName", "uploadId")
//
// Decide by code with [CodeOf] or errors.Is:
//
//	if errors.Is(err, s3err.NoSuchKey) { … }
//
// The cause in Err is for logs only. It is part of Error() and is never part
// of the answer: the answer holds Code, Message, Resource and Details.
// Details become extra elements of the <Error> document, in their order.
//
// # Sources
//
// Codes, statuses and messages follow the list "Error responses" of the
// Amazon S3 API Reference (API/ErrorResponses.html) and, where that list is
// silent, answers seen from Amazon S3. The codes that are not Amazon's are
// marked so where they are declared.
//
// Everything in this package is safe for concurrent use, except changing one
// *Error from several goroutines.
package s3err
