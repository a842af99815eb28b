package badgerdb

import "bytes"

// Badger refuses keys that begin with "!badger!", and hides them from scans. A
// key that begins with escapePrefix gets escapeByte behind it, which keeps the
// order of keys and leaves all others as they are.
const (
	escapePrefix = "!badger"
	escapeByte   = 0
)

// sequenceKey is written with every merge and has an empty value. No other
// stored key equals it: those with its prefix go on with escapeByte.
const sequenceKey = escapePrefix + "\x01sequence"

// droppedKey is there for a moment during a compaction.
const droppedKey = escapePrefix + "\x01dropped"

// storedKey returns the form in which key is stored; usually that is key.
func storedKey(key []byte) []byte {
	if len(key) < len(escapePrefix) || string(key[:len(escapePrefix)]) != escapePrefix {
		return key
	}
	stored := make([]byte, 0, len(key)+1)
	stored = append(stored, escapePrefix...)
	stored = append(stored, escapeByte)
	return append(stored, key[len(escapePrefix):]...)
}

// givenKey undoes storedKey. It returns false for a key that nobody gave.
func givenKey(stored []byte) ([]byte, bool) {
	if !bytes.HasPrefix(stored, []byte(escapePrefix)) {
		return stored, true
	}
	rest := stored[len(escapePrefix):]
	if len(rest) == 0 || rest[0] != escapeByte {
		return nil, false
	}
	return append([]byte(escapePrefix), rest[1:]...), true
}
