package cipher

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// IDSize is the length of an identifier in bytes.
const IDSize = 16

// ID is a 128-bit random identifier. K says of what; it takes no room, and keeps one kind of identifier
// from being passed for another. To make one from 16 bytes that were stored, convert: ChunkID(b[:16]).
type ID[K idKind] [IDSize]byte

// The kinds of identifiers.
type (
	storeKind    struct{}
	bucketKind   struct{}
	objectKind   struct{}
	chunkKind    struct{}
	instanceKind struct{}
	bodyKind     struct{}
	pageKind     struct{}
	uploadKind   struct{}
	runKind      struct{}
	writerKind   struct{}
	versionKind  struct{}
)

type idKind interface {
	storeKind | bucketKind | objectKind | chunkKind | instanceKind |
		bodyKind | pageKind | uploadKind | runKind | writerKind | versionKind
}

type (
	StoreID    = ID[storeKind]    // a store: made once, with its StoreKey
	BucketID   = ID[bucketKind]   // a bucket: new for every creation, also under an old name
	ObjectID   = ID[objectKind]   // an object: kept by rename and link, new for every copy
	ChunkID    = ID[chunkKind]    // a chunk: never used twice, whatever happens
	InstanceID = ID[instanceKind] // a backend instance of the KMS
	BodyID     = ID[bodyKind]     // a body
	PageID     = ID[pageKind]     // an extent page or part-table page
	UploadID   = ID[uploadKind]   // a multipart upload
	RunID      = ID[runKind]      // one run of the server process
	WriterID   = ID[writerKind]   // one writer within a run
	VersionID  = ID[versionKind]  // a version of an object; zero is the null version
)

// Each of these draws a fresh identifier from the system's random source.
func NewStoreID() StoreID       { return newID[storeKind]() }
func NewBucketID() BucketID     { return newID[bucketKind]() }
func NewObjectID() ObjectID     { return newID[objectKind]() }
func NewChunkID() ChunkID       { return newID[chunkKind]() }
func NewInstanceID() InstanceID { return newID[instanceKind]() }
func NewBodyID() BodyID         { return newID[bodyKind]() }
func NewPageID() PageID         { return newID[pageKind]() }
func NewUploadID() UploadID     { return newID[uploadKind]() }
func NewRunID() RunID           { return newID[runKind]() }
func NewWriterID() WriterID     { return newID[writerKind]() }
func NewVersionID() VersionID   { return newID[versionKind]() }

// Each of these reads the form that String writes. Anything else is ErrID.
func ParseStoreID(s string) (StoreID, error)       { return parseID[storeKind](s) }
func ParseBucketID(s string) (BucketID, error)     { return parseID[bucketKind](s) }
func ParseObjectID(s string) (ObjectID, error)     { return parseID[objectKind](s) }
func ParseChunkID(s string) (ChunkID, error)       { return parseID[chunkKind](s) }
func ParseInstanceID(s string) (InstanceID, error) { return parseID[instanceKind](s) }
func ParseBodyID(s string) (BodyID, error)         { return parseID[bodyKind](s) }
func ParsePageID(s string) (PageID, error)         { return parseID[pageKind](s) }
func ParseUploadID(s string) (UploadID, error)     { return parseID[uploadKind](s) }
func ParseRunID(s string) (RunID, error)           { return parseID[runKind](s) }
func ParseWriterID(s string) (WriterID, error)     { return parseID[writerKind](s) }
func ParseVersionID(s string) (VersionID, error)   { return parseID[versionKind](s) }

// newID ignores the error of rand.Read, which never returns one: without random numbers the process ends.
func newID[K idKind]() ID[K] {
	var id ID[K]
	_, _ = rand.Read(id[:])
	return id
}

// parseID takes lower-case digits only, so that an identifier has one spelling.
func parseID[K idKind](s string) (ID[K], error) {
	var id ID[K]
	if err := parseHex(id[:], s); err != nil {
		return ID[K]{}, err
	}
	return id, nil
}

func parseHex(dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%w: %d characters, want %d", ErrID, len(s), hex.EncodedLen(len(dst)))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%w: not a lower-case hexadecimal digit at %d", ErrID, i)
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrID, err)
	}
	return nil
}

// String returns 32 lower-case hexadecimal digits.
func (id ID[K]) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is the zero value, which no constructor returns.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// MarshalText writes the form of String.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String; anything else is ErrID, and leaves id as it was.
func (id *ID[K]) UnmarshalText(text []byte) error {
	parsed, err := parseID[K](string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Fingerprint tells keys apart and reveals nothing of them: 16 bytes that HKDF derives from the key.
type Fingerprint [IDSize]byte

// ParseFingerprint reads the form that String writes. Anything else is ErrID.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	if err := parseHex(f[:], s); err != nil {
		return Fingerprint{}, err
	}
	return f, nil
}

// String returns 32 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// IsZero reports whether f is the zero value, the fingerprint of no key.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText writes the form of String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the form of String; anything else is ErrID, and leaves f as it was.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}
