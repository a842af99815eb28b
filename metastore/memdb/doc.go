// Package memdb is a metastore driver in memory, for tests of what stands on a
// metastore and as the plainest statement of what a driver promises.
//
// It keeps the keys in an immutable treap: a batch makes new nodes on the
// paths it touches, a snapshot is the root of its time and costs nothing. A
// batch is as durable as this driver can make it when Apply returns: Crash
// returns a store that holds exactly the batches applied so far, as a process
// that died would find them.
//
// A DB is safe for concurrent use.
package memdb
