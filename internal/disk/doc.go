// Package disk is the seam between Coffer and the file system.
//
// Everything that must survive a power cut is written through it, so that a
// test can put a file system underneath that forgets what was never synced
// (disktest.Crash) or that fails on purpose (disktest.Faulty).
//
// # What is promised
//
// The seam speaks of two states. A change is visible as soon as its call
// returns. It is durable, that is, there after a power cut, only
//
//   - for the bytes of a file, when File.Sync has returned nil after they were
//     written;
//   - for an entry of a directory (made, replaced, removed, renamed), when
//     FS.SyncDir of that directory has returned nil after the change.
//
// Neither implies the other, whatever a particular file system does. An error
// of Sync or SyncDir leaves the state of what was not durable unknown, and
// calling it again proves nothing: the kernel may have dropped the bytes and
// report success the next time. The writer starts over with a new file.
//
// # What it does not do
//
// It does not encrypt, retry, cache or lock. It never follows a name outside
// its root. Metastore engines that bring their own files go past it.
//
// # Concurrency and ownership
//
// An FS may be used from many goroutines. A File may be read from many; Write,
// Sync and Close of one File belong to one goroutine. Whoever opens a File
// closes it.
package disk
