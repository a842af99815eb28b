// Package localdisk keeps chunks as files of the local machine.
//
// # Layout
//
// Below the directory of the store, the chunk with the id 3fa0…9c (32 lower-case
// hexadecimal digits) is the file 3f/3fa0…9c. The 256 directories 00 to ff are
// made and synced when the store is opened. A file holds the chunk's sealed
// bytes and nothing else. A file under another name, or in the wrong directory,
// is a stray: it is skipped, counted, and never touched.
//
// # How a commit becomes durable
//
// A chunk is written at its final place (the id is random, nobody can know it
// before the commit), its file is synced, and then its directory. One sync of a
// directory serves everybody that arrived before it began; who comes later
// waits for the next. While bytes are written, the kernel is told every few MiB
// to begin writing them to the medium, so that the disk works while the next
// bytes are sealed and the sync at the end finds little left.
//
// A failed sync is final for its chunk: the kernel may have dropped the bytes,
// and the next sync would not say so.
//
// # What it does not do
//
// It does not lock its directory against a second process; the lock of the
// metastore covers both. It does not reserve room: admission is the engine's.
package localdisk
