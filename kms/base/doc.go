// Package base is what key backends have in common, for those that need not do it
// in a way of their own.
//
// # Duty
//
// Data makes of two functions, one that seals bytes under a key and one that opens
// them, all operations on KEKs and on values of a caller's own. Keys makes of five
// functions, which create, list, rotate, change and destroy keys, all of their
// administration. A backend embeds both and adds Instance and Health.
// examples/backend is one.
//
// What both promise is what the interfaces of package kms say: limits are checked
// before a function of the backend is called, every error is a *kms.Error,
// plaintexts that nobody gets are wiped, and what is returned is the caller's.
//
// # What it does not do
//
// It keeps nothing and encrypts nothing. It makes one call for each item of a batch
// and lists all keys for each page: a backend that can do better has methods of its
// own.
//
// # Concurrency and ownership
//
// Data and Keys hold functions alone and are as safe for concurrent use as these.
package base
