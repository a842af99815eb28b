// Command s3load measures S3 endpoints side by side.
//
//	s3load --endpoint label=coffer,url=http://127.0.0.1:9000,access=KEY,secret-file=FILE \
//	       --endpoint http-memory --workload put,get --size 4KiB,10MiB --concurrency 16
//
// The endpoints are measured in turn, round by round; the first one is the base
// of all ratios. The endpoint http-memory is a child process of the tool itself:
// the product's HTTP server, answering from memory. Only endpoints on this
// machine are measured unless --allow-remote is given.
//
// It exits with 1 if a request failed or an option is wrong.
package main
