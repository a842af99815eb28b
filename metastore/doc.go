// Package metastore keeps Coffer's metadata: an ordered key-value store with
// snapshots and atomic, durable, conditional transactions.
//
// # Duty
//
// DB is what the engine uses. It seals every value with AES-256-GCM before a
// driver sees it, with the full key as associated data, so that a value that
// was edited, truncated or moved under another key is reported as ErrCorrupt
// instead of being believed. It enforces the limits that every driver can
// meet, and runs transactions again when they conflict.
//
// Driver is what a storage engine implements. It is cut small on purpose: the
// limits are those of the weakest engine planned, so that a distributed one
// fits under DB later. Package metastoretest holds its conformance suite.
//
// # What it does not do
//
// It knows nothing of buckets, objects or key layout, does not hide keys (the
// driver's encryption at rest does that), and does not detect that a whole
// store, or one value under its own key, was put back to an earlier state.
//
// # Isolation
//
// Get, GetForUpdate and Scan read one snapshot. Only GetForUpdate promises a
// conflict: a transaction commits only if every key read with it, absent ones
// included, has not been written since the snapshot. Get and Scan promise
// none, so a range that was scanned as empty may have been filled by the time
// of the commit (a phantom). Who needs a range to hold still lets all its
// writers write a guard key, and reads that key with GetForUpdate.
//
// A transaction that writes nothing is not applied, and so never conflicts.
//
// # Concurrency and ownership
//
// A DB serves any number of goroutines. A View or Tx belongs to the function it
// was handed to, to one goroutine, and ends when that function returns. No
// network call, sleep or other transaction belongs inside that function; it
// must be repeatable.
//
// What Get and GetForUpdate return belongs to the caller. What Scan yields is
// valid until the next step. Put and Delete keep none of their arguments.
package metastore
