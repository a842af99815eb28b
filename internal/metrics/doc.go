// Package metrics turns what the other packages tell into numbers for
// Prometheus, and serves them.
//
// # Duty
//
// A Metrics has a registry of its own. Some of its numbers are counted as things
// happen: the methods of Metrics are what object.Options.Observe,
// s3api.Options.Observe, manager.Options.Watcher and vault.Options.OnAuth want.
// The others are read from Sources when somebody asks. docs/metrics.md lists all
// of them; a test holds that page against a running server.
//
// # Names and labels
//
// Names begin with coffer_. Those of the key service are RustFS's, whose prefix
// is rustfs_, where both have the same number. Labels have values out of small
// sets: modes, operations, outcomes, status codes, types of backends, ids of
// backend instances, and the ids of at most 100 keys of each backend. No bucket, no object
// name and no secret is a label.
//
// # What it does not do
//
// It judges nothing and alerts nobody. No other package imports it or Prometheus;
// the command joins them.
//
// # Concurrency and ownership
//
// All methods are safe for concurrent use. Whoever calls Start calls Close, which
// waits for the goroutines of the server and of the count of chunks.
package metrics
