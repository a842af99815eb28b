// Package home keeps the two directories of a store: the configuration
// directory with its keys, and the data directory with everything that is
// sealed under them.
//
// # Duty
//
// Open tells a first start from a later one, makes what the first start needs,
// and refuses to go on where the two directories do not belong together: keys
// inside the data directory, data without its store.key, data of another store,
// a store whose data is gone, files that are no store's at all. It unlocks the
// store, finds or makes the root credentials, and holds the data directory
// against a second process. OpenKeys does the part of it that managing the
// slots of store.key needs.
//
// # Configuration directory
//
//	store.key          the StoreKey in its slots (package kms/storekey)
//	unlock.key         the key file that unlocks it, unless another is named
//	keyring/           the built-in keyring (package kms/local)
//	root.credentials   root access key and secret key, where none are given
//	audit.head         a line that the audit log must have (package kms/audit)
//	audit/             the audit log, where no other place is meant for it
//	coffer.yaml        the configuration file, where there is one
//
// root.credentials is a shared credentials file as AWS clients read it, with
// one profile named default.
//
// # Data directory
//
//	store     marker: one line, "coffer store 1 " and the store id as 32
//	          hexadecimal digits, or "coffer store 1 unfinished"
//	meta/     the metastore
//	chunks/   the chunk store
//
// No file of it, and no name of one, shows the name of a bucket or an object. The
// audit log has names of buckets, so it is refused there.
//
// The marker protects from mistakes, not from an attacker: bytes of another
// store do not open with this store's key anyway.
//
// # First start
//
// The marker is written as unfinished, then unlock.key, then store.key, then the
// marker with the store id. Whatever a power cut leaves of it, the next start
// finishes: store.key is the point from which the store exists, and nothing is
// stored before the marker names it. store.key is never made where the data
// directory, the keyring or the audit log holds anything.
//
// # What it does not do
//
// It opens no metastore, chunk store or keyring, and reads no environment.
//
// # Concurrency and ownership
//
// A Home belongs to the process that opened it, and locks the data directory and
// the keyring's directory until Close. The configuration directory is locked
// while Open runs and while Keys are open, so that two processes never make or
// change keys at a time. The locks are advisory (flock), and end with the
// process.
package home
