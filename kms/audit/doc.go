// Package audit keeps the log of who used which key: one line for every
// operation of key administration, denied ones too, and for every use of a KEK.
//
// # Duty
//
// A Log takes Events (Record) and writes them as lines of JSON to rotating
// files. Every line carries an HMAC-SHA256, under a key that comes from the
// StoreKey, over itself and the HMAC of the line before it, across files; a small
// state file, replaced in one durable step, carries the end of the chain under an
// HMAC of its own. Verify reads everything back and names the file and line of
// the first fault. FORMAT.md gives the bytes, and says what is found and what is
// not.
//
// Callers of the log do not pass the principal through every layer: a front door
// puts it into the context (package internal/caller), and Record takes it from there.
//
// # What it does not do
//
// It does not decide what is an event, ship lines to another machine, or hide
// them: principal, address, key id and bucket stand in the clear. Object names are
// hashed under a key, and a context has no place in an Event. It does not protect
// from one who holds the StoreKey, nor does it lock its directory: one
// process at a time may use it, which the owner of the directory sees to.
//
// # When lines cannot be written
//
// A Guard stands between a Log and those who do what is to be recorded. It refuses
// what cannot be recorded, or lets it go on and counts, and records, the lines that
// are missing.
//
// # Durability
//
// Record returns when the line has its place in a bounded queue, and waits there,
// for as long as its context allows, when the queue is full: no line is dropped to
// be fast. One goroutine writes what is queued as it comes. A group of lines is
// made durable, and the state file after it, Options.SyncInterval after its first
// line at the latest, and at once when somebody calls Flush, which returns when
// everything recorded before is durable and vouched for. So
//
//   - the kill of the process loses what is in the queue, at most
//     Options.Queue lines and one write;
//   - a power cut loses besides what was recorded during the last SyncInterval;
//   - neither loses a line that a Flush has followed.
//
// A line that a cut tore apart is removed by the next Open, which says so in a
// line of its own. When the disk fails or is full, lines wait in memory, Health
// tells why, Record waits and then returns ErrBusy, and the writer tries again
// until it succeeds or is closed; after a failed sync it trusts nothing of the file
// that was not durable and writes it anew.
//
// # Concurrency and ownership
//
// A Log is safe for concurrent use. Open starts its one goroutine, Close ends it
// and waits for it. Record keeps nothing of the Event that it is given. Verify may
// run beside a Log that writes.
package audit
