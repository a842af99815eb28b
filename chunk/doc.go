// Package chunk keeps bytes at rest: immutable runs of sealed bytes, each under
// a random id. It is the twin of package metastore, which keeps names.
//
// A Store is a driver's interface. Drivers are chunk/localdisk (files of the
// local machine) and chunk/memchunk (memory, for tests, with a power cut to
// order); chunk/chunktest holds the suite that every driver passes.
//
// # What it does not do
//
// A Store never sees a key or a plaintext byte, and cannot tell good bytes from
// bad: the format of what it keeps is that of package cipher (see
// cipher/FORMAT.md), and damage is found there. It keeps no counts of
// references and collects nothing by itself. What a Writer left behind when its
// process died is listed like any chunk, so that the engine, which noted the id
// before the first byte, can remove it.
//
// # Concurrency and ownership
//
// A Store and a Reader may be used from many goroutines. A Writer belongs to
// one goroutine at a time. Whoever gets a Writer calls Commit or Abort, and may
// always defer Abort; whoever gets a Reader closes it.
package chunk
