// Package keystate keeps in the metastore what a key backend has no place for:
// the states, descriptions and tags of Transit keys where Vault's KV engine is
// not to be had.
//
// # Duty
//
// Store is a vault.StateStore: one record for a key of one backend instance,
// replaced only by whoever has read its latest revision. A Save that has
// returned is durable.
//
// # What it does not do
//
// It does not know what a record says. It removes no records of an instance that
// is forgotten: they are small, and an instance id never comes again.
//
// # Concurrency and ownership
//
// A Store is safe for concurrent use, and so are several over one metastore. It
// keeps no slice that it is given, and gives away none that it keeps.
//
// # Format
//
// Key: 'k' ‖ instance id (16) ‖ key id. Value: format, which is 1 (1) ‖ revision
// (8, big-endian, random, never 0) ‖ record. The metastore seals the value with
// its key. object/LAYOUT.md lists the kinds of keys.
package keystate
