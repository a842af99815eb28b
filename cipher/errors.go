package cipher

import (
	"errors"
	"fmt"
)

// What can be wrong with sealed bytes. Every error of this package wraps one of these; decide with errors.Is.
// None of them carries a key, a plaintext byte or a name.
var (
	// ErrAuth says that bytes do not authenticate: another key, another place, or changed since they were sealed.
	ErrAuth = errors.New("cipher: does not authenticate")

	// ErrFormat says that bytes are not in the format asked for.
	ErrFormat = errors.New("cipher: not this format")

	// ErrVersion is the ErrFormat of bytes that name a format version unknown to this build.
	ErrVersion = fmt.Errorf("%w: unknown format version", ErrFormat)

	// ErrTruncated is the ErrFormat of bytes that end before their format allows.
	ErrTruncated = fmt.Errorf("%w: truncated", ErrFormat)
)

// What can be wrong with a call.
var (
	// ErrSize says that a size, offset or count is outside its documented range.
	ErrSize = errors.New("cipher: size out of range")

	// ErrKey says that a key is missing, wiped, or not 256 bits long.
	ErrKey = errors.New("cipher: unusable key")

	// ErrID says that an identifier is zero where a real one is needed, or is not 32 hexadecimal digits.
	ErrID = errors.New("cipher: bad identifier")

	// ErrClosed says that a ChunkWriter was used after Close or Abort.
	ErrClosed = errors.New("cipher: writer is closed")

	// ErrSecret says that somebody tried to encode a secret.
	ErrSecret = errors.New("cipher: a secret has no encoded form")
)
