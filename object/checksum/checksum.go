package checksum

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// Algorithm is one of S3's additional checksum algorithms. Its numbers are stored: never reuse one.
type Algorithm uint8

// The algorithms. 0 means none.
const (
	CRC32     Algorithm = 1
	CRC32C    Algorithm = 2
	CRC64NVME Algorithm = 3
	SHA1      Algorithm = 4
	SHA256    Algorithm = 5
)

// Type says what a checksum of a multipart object covers. Its numbers are stored.
type Type uint8

// The types. 0 means unspecified.
const (
	FullObject Type = 1 // the bytes of the object
	Composite  Type = 2 // the concatenated checksums of its parts
)

// Errors of Parse and Combine.
var (
	ErrUnknown    = errors.New("unknown checksum algorithm")
	ErrNotLinear  = errors.New("checksums of this algorithm cannot be combined")
	ErrWrongWidth = errors.New("checksum has the wrong length")
)

var names = [...]string{CRC32: "CRC32", CRC32C: "CRC32C", CRC64NVME: "CRC64NVME", SHA1: "SHA1", SHA256: "SHA256"}

// Algorithms lists all of them.
func Algorithms() []Algorithm { return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256} }

// Parse reads S3's name of an algorithm, in any case.
func Parse(name string) (Algorithm, error) {
	for _, a := range Algorithms() {
		if equalFold(name, names[a]) {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%w %q", ErrUnknown, name)
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		c := a[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != b[i] {
			return false
		}
	}
	return true
}

// String is S3's name of the algorithm, "" for none.
func (a Algorithm) String() string {
	if int(a) < len(names) {
		return names[a]
	}
	return ""
}

// String is S3's name of the type, "" for unspecified.
func (t Type) String() string {
	switch t {
	case FullObject:
		return "FULL_OBJECT"
	case Composite:
		return "COMPOSITE"
	default:
		return ""
	}
}

// New returns a hash of the algorithm, nil for none or an unknown one. Digests are big-endian.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	default:
		return nil
	}
}

// Size is the length of a digest in bytes, 0 for none.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME:
		return 8
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	default:
		return 0
	}
}

// DefaultType is the type S3 gives a multipart object whose client named none: full object for CRC64NVME, composite
// for the others.
func (a Algorithm) DefaultType() Type {
	if a == CRC64NVME {
		return FullObject
	}
	return Composite
}

// Supports says whether a multipart object may have the type
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
func (a Algorithm) Supports(t Type) bool {
	switch a {
	case CRC32, CRC32C:
		return t == FullObject || t == Composite
	case CRC64NVME:
		return t == FullObject
	case SHA1, SHA256:
		return t == Composite
	default:
		return false
	}
}
