// Package bench measures S3 endpoints side by side.
//
// A Plan names endpoints and cases (workload × object size × concurrency). Run
// measures every case at every endpoint in rounds that take turns, so that the
// noise of the machine falls on all of them alike, and returns a Report that is
// written as an aligned table or as JSON.
//
// The load is a closed loop: each of the Concurrency workers sends its next
// request when the one before has been answered in full. Latencies are
// therefore those of a client that waits, not of arrivals at a fixed rate. A
// latency runs from before signing to the last byte of the answer. Requests
// that fail are counted apart and enter neither rates nor latencies.
//
// The client shares the machine with the server that it measures, so it is kept
// light: bodies are slices of one buffer made beforehand, their digests are
// computed once, nothing is retried, and connections are reused within a round.
//
// MemoryServer is the baseline: the same HTTP server as the product's, which
// answers GETs from memory and discards the bodies of PUTs.
//
// The package talks to loopback addresses only, unless the Plan says otherwise.
// It does not start or stop the servers that it measures. A Plan is read only
// during Run; Run may be called once at a time for one set of endpoints.
package bench
