// Package badgerdb is the metastore driver over Badger.
//
// # Group commit
//
// Badger flushes once per transaction. Here batches queue instead, and one
// goroutine, the committer, takes all that wait, checks the conditions of each
// against the store and against the batches before it, merges the batches that
// hold into one Badger transaction, and releases them all after its one flush.
// While a flush runs, the next merge is gathered and checked.
//
// The committer is the only writer and gives out the timestamps (Badger's
// managed mode). So a snapshot is of the last merge that is durable: it never
// waits for a flush under way, and never shows a write that could still be
// lost. Snapshots of the same merge share one Badger transaction.
//
// # Durability
//
// A batch is released after Badger has synced the log of the memtable that
// holds it, and after the directory was synced if that log is a new file.
// Values stay below Badger's value threshold: a failed sync of its value log
// is only logged by Badger, so nothing may be kept there.
//
// One gap is Badger's own: when it has written a memtable into a table it
// deletes the log without having synced the directory in between. File systems
// that make a new file's entry durable with the file (ext4, xfs, btrfs) close it.
//
// After a flush that failed, nobody knows what the disk holds. The driver then
// refuses every write with metastore.ErrFailed until it is opened anew; reads
// go on from the last state known to be durable.
//
// # What it does not do
//
// Badger writes through memory maps into sparse files, and a full disk kills
// the process with SIGBUS. This package does not catch that: Reserve says how
// much room must stay free, and the engine above stops admitting writes first.
// Badger ends the process as well where its own assertions fail.
//
// # Memory
//
// Under load the builders of tables hold most of it, and the garbage collector
// lets it double. Set the runtime's memory limit: with 256 MiB a store with
// default options stays near 200 MiB of anonymous memory under sustained puts,
// and near 500 MiB without. Mapped files count as resident besides.
//
// # At rest
//
// Badger encrypts its files under the key given, with AES-CTR and no MAC. That
// hides the keys; what the values say is protected by the seal that
// metastore.DB puts on them.
//
// A key that begins with "!badger" is stored with one zero byte after that
// word, because Badger keeps a part of that range to itself. One key of this
// package's own lies in the room that leaves; it is written with every merge,
// so that the highest timestamp in the store never falls.
//
// # Concurrency
//
// A DB is safe for concurrent use. Two goroutines belong to it, the committer
// and the housekeeper, besides Badger's own; Close waits for them.
package badgerdb
