// Package storekey keeps the StoreKey in its file, store.key, wrapped once for
// every secret that may unlock it.
//
// # Duty
//
// Create makes a StoreKey and its file, Load reads the file, File.Unlock gives
// the StoreKey to whoever has one of the secrets, and File.Add, Change and
// Remove manage the slots, one per secret. Every operation on slots needs the
// unlocked StoreKey. FORMAT.md gives the bytes.
//
// # The security notion
//
// The file is made to be read by an attacker. It reveals the store id, the
// labels, and the kinds and costs of the slots; the StoreKey comes out only with
// the content of a key file, or with a passphrase that is found by trial at the
// cost of Argon2id. A slot that was edited, or moved to another store's file,
// does not open. The costs that a file asks for are bounded before they are paid.
//
// Whoever keeps an old copy of the file and an old secret keeps the StoreKey:
// Change and Remove keep a secret from opening the present file, not the past one.
//
// # What it does not do
//
// It reads no environment, terminal or key file: the caller brings a Secret. It
// makes no backups: without store.key, or without every secret, the store is
// lost.
//
// # Durability
//
// The file is replaced in one durable step. After an error or a power cut it
// holds the old slots or the new ones. A file that is missing or damaged is an
// error, and never made anew.
//
// # Concurrency and ownership
//
// A File may be used from many goroutines. Two processes that change slots at
// the same moment are told of each other by ErrChanged where possible; one of
// them may lose its change, and no slot is ever half written. A Secret is wiped
// by the call that it is given to. The StoreKey that Create and Unlock return
// belongs to the caller.
package storekey
