// Package cipher holds everything in Coffer that touches a key: identifiers, secret key types, the sealed
// chunk, the box for small values, and the sealed form of a data key.
package cipher
