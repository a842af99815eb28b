package cipher

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The encoding of a SealedKey is
//
//	format            1 byte    1
//	mode              1 byte    1 SSE-S3, 2 SSE-KMS, 3 SSE-C
//	instance         16 bytes
//	key fingerprint  16 bytes
//	key version       4 bytes   big-endian
//	generation        4 bytes   big-endian
//	salt             32 bytes
//	nonce            12 bytes
//	sealed           48 bytes   32 of the DataKey, 16 of tag
//	wrapped           4 bytes of length, big-endian, and as many bytes
//	context           4 bytes of length, big-endian, and as many bytes
//
// and nothing behind it.
const sealedKeyFixed = 2 + 2*IDSize + 2*4 + sealedSaltSize + gcmNonceSize + KeySize + gcmTagSize

// MaxSealedKeySize is the longest encoding of a SealedKey, in bytes.
const MaxSealedKeySize = sealedKeyFixed + 4 + MaxWrapped + 4 + MaxContext

// AppendBinary appends the encoding to dst. It is ErrFormat when the fields contradict each other (see check),
// ErrSize when one is too long.
func (s *SealedKey) AppendBinary(dst []byte) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("encode sealed key: %w", err)
	}
	dst = append(dst, sealedKeyFormat, byte(s.Mode))
	dst = append(dst, s.Instance[:]...)
	dst = append(dst, s.KeyFingerprint[:]...)
	dst = binary.BigEndian.AppendUint32(dst, s.KeyVersion)
	dst = binary.BigEndian.AppendUint32(dst, s.Generation)
	dst = append(dst, s.salt[:]...)
	dst = append(dst, s.nonce[:]...)
	dst = append(dst, s.sealed[:]...)
	dst = appendSized(dst, s.Wrapped)
	return appendSized(dst, s.Context), nil
}

// MarshalBinary returns the encoding; see AppendBinary.
func (s *SealedKey) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// UnmarshalBinary reads an encoding and copies what it keeps. The errors are ErrVersion, ErrTruncated, ErrFormat for
// anything that AppendBinary would not have written, and ErrSize; s is unchanged then.
func (s *SealedKey) UnmarshalBinary(data []byte) error {
	parsed, err := parseSealedKey(data)
	if err != nil {
		return fmt.Errorf("decode sealed key: %w", err)
	}
	*s = parsed
	return nil
}

func parseSealedKey(data []byte) (SealedKey, error) {
	var s SealedKey
	if len(data) == 0 {
		return s, ErrTruncated
	}
	if data[0] != sealedKeyFormat {
		return s, fmt.Errorf("%w %d", ErrVersion, data[0])
	}
	if len(data) < sealedKeyFixed {
		return s, fmt.Errorf("%w: %d bytes", ErrTruncated, len(data))
	}
	s.Mode = Mode(data[1])
	rest := data[2:]
	rest = rest[copy(s.Instance[:], rest):]
	rest = rest[copy(s.KeyFingerprint[:], rest):]
	s.KeyVersion = binary.BigEndian.Uint32(rest)
	s.Generation = binary.BigEndian.Uint32(rest[4:])
	rest = rest[8:]
	rest = rest[copy(s.salt[:], rest):]
	rest = rest[copy(s.nonce[:], rest):]
	rest = rest[copy(s.sealed[:], rest):]
	var err error
	if s.Wrapped, rest, err = cutSized(rest, MaxWrapped); err != nil {
		return SealedKey{}, fmt.Errorf("wrapped key: %w", err)
	}
	if s.Context, rest, err = cutSized(rest, MaxContext); err != nil {
		return SealedKey{}, fmt.Errorf("context: %w", err)
	}
	if len(rest) > 0 {
		return SealedKey{}, fmt.Errorf("%w: %d bytes behind its end", ErrFormat, len(rest))
	}
	if err := s.check(); err != nil {
		return SealedKey{}, err
	}
	return s, nil
}

// cutSized copies a field with its length in front out of data, nil when empty. Nothing is allocated for a length
// that is above limit or that data does not have.
func cutSized(data []byte, limit int) (field, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, ErrTruncated
	}
	size, data := binary.BigEndian.Uint32(data), data[4:]
	if uint64(size) > uint64(limit) {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrSize, size)
	}
	if uint64(size) > uint64(len(data)) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", ErrTruncated, len(data), size)
	}
	if size == 0 {
		return nil, data, nil
	}
	return bytes.Clone(data[:size]), data[size:], nil
}

// check holds the fields against each other: what finds the KEK must be there, and nothing that the mode has no use
// for. For SSE-C that means nothing at all, since it could only tell of the client's key.
func (s *SealedKey) check() error {
	if err := s.checkBound(); err != nil {
		return err
	}
	if len(s.Wrapped) > MaxWrapped {
		return fmt.Errorf("%w: wrapped key of %d bytes", ErrSize, len(s.Wrapped))
	}
	wrapped, generation := len(s.Wrapped) > 0, s.Generation > 0
	var consistent bool
	switch s.Mode {
	case ModeSSES3, ModeSSEKMS:
		consistent = wrapped != generation
	case ModeSSEC:
		consistent = !wrapped && !generation &&
			s.Instance.IsZero() && s.KeyFingerprint.IsZero() && s.KeyVersion == 0
	}
	if !consistent {
		return fmt.Errorf("%w: fields contradict mode %v", ErrFormat, s.Mode)
	}
	return nil
}
