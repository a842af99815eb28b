// Command sdkgo is an S3 client built on the AWS SDK for Go in its default
// configuration, for the end-to-end test.
//
//	sdkgo version
//	sdkgo make-bucket|list|remove BUCKET
//	sdkgo put-tree|get-tree BUCKET PREFIX DIRECTORY
//	sdkgo put-file|get-file BUCKET KEY FILE
//
// The endpoint, the region and the credentials come from the SDK's own
// environment variables. It prints listed keys, one on a line.
package main
