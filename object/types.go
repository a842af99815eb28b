package object

import (
	"io"
	"time"

	"coffer/cipher"
	"coffer/object/checksum"
)

// Limits of S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html), in bytes unless named otherwise.
const (
	MaxKeyBytes     = 1024
	MaxUserMetadata = 2 << 10
	MinPartSize     = 5 << 20
	MaxPartSize     = 5 << 30
	MaxPutSize      = 5 << 30
	MaxObjectSize   = 5 << 40
	MaxParts        = 10_000
	MaxListKeys     = 1000
)

// NullVersion is the version id of everything in a bucket without versioning.
const NullVersion = "null"

// BucketInfo describes a bucket.
type BucketInfo struct {
	Name    string
	Created time.Time
}

// Metadata is what a client says about an object: the standard content headers, verbatim, and its own pairs.
type Metadata struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string
	WebsiteRedirect    string
	StorageClass       string            // "" is STANDARD
	User               map[string]string // names in lower case without the x-amz-meta- prefix
}

// Checksum is one of S3's additional checksums, over the plaintext.
type Checksum struct {
	Algorithm checksum.Algorithm // 0: none
	Type      checksum.Type      // over the whole object, or over the checksums of its parts
	Value     []byte             // raw digest
	Parts     int                // number of parts of a composite checksum
}

// Digests says what the plaintext of a body must hash to. The zero value asks for nothing.
type Digests struct {
	MD5       []byte             // Content-MD5, 16 bytes, or nil
	Algorithm checksum.Algorithm // additional checksum to compute and keep; 0: none
	Value     []byte             // its expected value, or nil when Trailer gives it or none is expected
	// Trailer, when not nil, is called once after the body's EOF and returns the expected value of Algorithm.
	Trailer func() ([]byte, error)
}

// WriteConditions must hold, inside the transaction that publishes a write or removal. Zero fields ask for nothing.
type WriteConditions struct {
	IfMatch     string // an entity tag, quoted or not, or "*": a current version must exist and have it
	IfNoneMatch string // "*": there must be no current version; a list of entity tags: it must have none of them
}

// ReadConditions are those of RFC 9110 section 13, evaluated in its order. Zero fields ask for nothing.
type ReadConditions struct {
	IfMatch           string // list of entity tags or "*"
	IfNoneMatch       string
	IfModifiedSince   time.Time
	IfUnmodifiedSince time.Time
}

// Mode says who provides the key above an object's DataKey.
type Mode = cipher.Mode

// The modes of server-side encryption.
const (
	ModeSSES3  = cipher.ModeSSES3
	ModeSSEKMS = cipher.ModeSSEKMS
	ModeSSEC   = cipher.ModeSSEC
)

// CustomerKey makes the client's key of SSE-C of its 32 bytes, which it copies. The caller wipes the key.
func CustomerKey(b []byte) (*cipher.KEK, error) { return cipher.KEKFromBytes(b) }

// Encryption says how a version is sealed.
type Encryption struct {
	Mode      cipher.Mode
	KeyID     string // SSE-KMS: the MasterKey's id
	Context   []byte // SSE-KMS: the client's encryption context, as it was sent
	BucketKey bool   // SSE-KMS: the KEK is the bucket's
}

// Sealing asks for an encryption. The zero value asks for the bucket's default, which is SSE-S3 where none is set.
type Sealing struct {
	Mode      cipher.Mode
	KeyID     string      // SSE-KMS: "" asks for the bucket's key, then for the default of the key service
	Context   []byte      // SSE-KMS: a JSON object of strings; see ValidateContext
	BucketKey *bool       // SSE-KMS: nil asks for the bucket's setting
	Customer  *cipher.KEK // SSE-C: the client's key. The caller wipes it
}

// BucketEncryption is the default encryption of a bucket.
type BucketEncryption struct {
	Mode      cipher.Mode // ModeSSES3 or ModeSSEKMS
	KeyID     string      // SSE-KMS: "" is the default of the key service
	BucketKey bool        // SSE-KMS: one KEK for the bucket and key
	BlockSSEC bool        // writes with SSE-C are refused
}

// ObjectInfo describes one version of an object.
type ObjectInfo struct {
	Bucket     string
	Key        string
	VersionID  string // NullVersion, or 32 hex digits
	Size       int64  // bytes of plaintext
	ModTime    time.Time
	ETag       string // without quotes
	Meta       Metadata
	Checksum   Checksum
	Parts      int // number of parts of a multipart object, else 0
	Encryption Encryption
}

// PutRequest stores one object.
type PutRequest struct {
	Bucket, Key string
	Body        io.Reader
	Size        int64 // declared length in bytes; the body must have exactly so many; -1 when not known
	Unproven    bool  // only the end of the body proves the request: its room is not reserved ahead
	Meta        Metadata
	Digests     Digests
	If          WriteConditions
	Sealing     Sealing
}

// RangeSpec selects bytes before the object's size is known, as RFC 9110 section 14.1.2 has it.
type RangeSpec struct {
	First int64 // first byte; -1: the last Last bytes
	Last  int64 // last byte, inclusive; -1: to the end
}

// GetRequest reads one version.
type GetRequest struct {
	Bucket, Key string
	VersionID   string     // "" is the current version
	Range       *RangeSpec // nil: all of it
	PartNumber  int        // 1…MaxParts selects one part; 0: no selection. Not together with Range
	If          ReadConditions
	Customer    *cipher.KEK // the client's key of an SSE-C object
}

// Selection is what a GetRequest selects.
type Selection struct {
	Info    ObjectInfo
	Offset  int64 // of the selected bytes
	Length  int64
	Partial bool // a range or part was asked for: the answer is 206

	Checksum Checksum // of the selected bytes: the object's, that of a part, or none
}

// DeleteRequest removes one key (or version). Removing what does not exist succeeds, as in S3, whatever the conditions.
type DeleteRequest struct {
	Bucket, Key string
	VersionID   string
	If          WriteConditions
}

// CopyRequest copies one version to another key or, with new metadata, onto itself.
type CopyRequest struct {
	SourceBucket, SourceKey string
	SourceVersionID         string
	SourceIf                ReadConditions
	Bucket, Key             string
	Meta                    *Metadata          // nil keeps the source's metadata
	Algorithm               checksum.Algorithm // 0 keeps the source's checksum
	If                      WriteConditions
	SourceCustomer          *cipher.KEK // the client's key of an SSE-C source
	Sealing                 Sealing     // of the copy; nothing is inherited from the source
}

// ListRequest lists current versions in ascending order of their keys' bytes.
type ListRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string // any string; "" does not fold
	After     ListPosition
	Max       int // keys and common prefixes together, 0…MaxListKeys
}

// ListPosition is a place in a listing. The zero value is the beginning.
type ListPosition struct {
	Key    string // exclusive
	Folded bool   // Key is a common prefix that has been returned: skip everything below it
}

// ListResult is one page. Entries and prefixes ascend.
type ListResult struct {
	Objects  []ObjectInfo // without Meta.User
	Prefixes []string
	More     bool
	Next     ListPosition // where to go on, if More
}

// UploadRequest begins a multipart upload.
type UploadRequest struct {
	Bucket, Key string
	Meta        Metadata
	Algorithm   checksum.Algorithm // checksum that every part must carry; 0: none
	Type        checksum.Type      // 0: the algorithm's default
	Sealing     Sealing
}

// UploadInfo describes an upload in progress.
type UploadInfo struct {
	Bucket, Key string
	UploadID    string
	Initiated   time.Time
	Meta        Metadata
	Checksum    Checksum // Algorithm and Type only
	Encryption  Encryption
}

// PartRequest stores one part.
type PartRequest struct {
	Bucket, Key string
	UploadID    string
	Number      int // 1…MaxParts
	Body        io.Reader
	Size        int64 // declared length in bytes, or -1
	Unproven    bool  // see PutRequest
	Digests     Digests
	Customer    *cipher.KEK // the client's key of an SSE-C upload
}

// CopyPartRequest stores a part that is a range of an object.
type CopyPartRequest struct {
	SourceBucket, SourceKey string
	SourceVersionID         string
	SourceIf                ReadConditions
	Range                   *RangeSpec // first and last byte, both given; nil: the whole object
	Bucket, Key             string
	UploadID                string
	Number                  int
	SourceCustomer          *cipher.KEK // the client's key of an SSE-C source
	Customer                *cipher.KEK // the client's key of an SSE-C upload
}

// PartInfo describes a stored part.
type PartInfo struct {
	Number     int
	Size       int64
	ETag       string
	ModTime    time.Time
	Checksum   Checksum
	Encryption Encryption
}

// ListPartsRequest lists the parts of an upload in ascending order.
type ListPartsRequest struct {
	Bucket, Key string
	UploadID    string
	After       int // exclusive part number
	Max         int
}

// ListPartsResult is one page of parts.
type ListPartsResult struct {
	Upload UploadInfo
	Parts  []PartInfo
	More   bool // go on after the last part's number
}

// ListUploadsRequest lists uploads in progress, by key and, within a key, by time of initiation as far as upload ids
// tell.
type ListUploadsRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string
	After     ListPosition
	AfterID   string // upload id within After.Key, exclusive; "" skips every upload of After.Key
	Max       int
}

// ListUploadsResult is one page of uploads.
type ListUploadsResult struct {
	Uploads  []UploadInfo
	Prefixes []string
	More     bool
	Next     ListPosition
	NextID   string
}

// CompletedPart names a part by number and entity tag in a CompleteRequest.
type CompletedPart struct {
	Number   int
	ETag     string
	Checksum Checksum // compared when Value is not nil
}

// CompleteRequest makes one object of an upload's parts.
type CompleteRequest struct {
	Bucket, Key string
	UploadID    string
	Parts       []CompletedPart
	Size        int64    // declared size of the object, or -1
	Checksum    Checksum // expected checksum of the object, compared when Value is not nil
	If          WriteConditions
}

// PartTable is the parts of a completed multipart object.
type PartTable struct {
	Info  ObjectInfo
	Total int        // number of parts of the object, 0 when it was not a multipart upload
	Parts []PartInfo // at most Max, after After
	More  bool
}
