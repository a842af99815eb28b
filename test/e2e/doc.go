// Package e2e holds the end-to-end test: the built binary, started as a user
// starts it, and unmodified S3 clients in their default configuration.
//
// Each client makes a bucket, uploads a directory of real files and one large
// file, lists, reads everything back, compares SHA-256, and removes everything.
// What a client is told is the endpoint, credentials and the region, nothing
// else. Clients run one after the other against one server.
//
// The test is behind the build tag e2e, because it needs the binary and the
// clients. From the root of the repository:
//
//	make build
//	test/e2e/setup.sh
//	go test -tags e2e -v -timeout 30m ./test/e2e
//	go test -tags e2e -v -timeout 6h ./test/e2e -args -tree=$(go env GOROOT)/src -large=3GiB
//
// Every flag has a variable, E2E_TREE for -tree and so on. A client that the
// machine lacks is skipped, unless CI is true: then it is a failure. The Go and
// JavaScript programs in sdkgo and sdkjs are modules of their own, so that their
// dependencies are not the product's.
//
// Package daemon starts and stops the binary; it serves the benchmarks too.
package e2e
