package object

import (
	"fmt"
	"math"

	"coffer/cipher"
	"coffer/internal/strictcbor"
	"coffer/object/checksum"
)

// recordFormat is the first field of everything that the engine encodes. A record of another format is refused.
const recordFormat = 1

// Sizes of the layout; LAYOUT.md says why.
const (
	maxRecordBytes    = 32 << 10 // encoded record
	maxUploadBytes    = 20 << 10 // encoded upload, so that its record has room for extents and parts
	maxPageBytes      = 32 << 10 // encoded page
	maxInlineExtents  = 64       // in a record; more go to pages
	maxInlineParts    = 64
	maxKeySlots       = 16
	maxInlineLimit    = 47 << 10 // plaintext of a chunk in the metastore, so that its value stays under 48 KiB
	entriesPerPage    = 384      // extents, parts or references in a page
	maxEncodedElement = 1 << 16  // elements of any array or map that is decoded
)

// record is the metadata of one version. Its integer labels are the stored field numbers: never reuse one.
type record struct {
	Format     uint8            `cbor:"1,keyasint"`
	Kind       recordKind       `cbor:"2,keyasint"`
	Object     cipher.ObjectID  `cbor:"3,keyasint"`
	Version    cipher.VersionID `cbor:"4,keyasint,omitzero"` // zero: the null version
	Size       int64            `cbor:"5,keyasint"`
	ModTime    int64            `cbor:"6,keyasint"` // Unix nanoseconds
	ETag       string           `cbor:"7,keyasint"`
	Meta       metadata         `cbor:"8,keyasint,omitzero"`
	Checksum   storedChecksum   `cbor:"9,keyasint,omitzero"`
	Keys       [][]byte         `cbor:"10,keyasint,omitempty"` // SealedKeys; extents name them by index
	Body       body             `cbor:"11,keyasint,omitzero"`
	Parts      partTable        `cbor:"12,keyasint,omitzero"`
	Upload     cipher.UploadID  `cbor:"13,keyasint,omitzero"` // that made it, so that Complete can be repeated
	Inode      uint64           `cbor:"14,keyasint"`
	Attributes *attributes      `cbor:"15,keyasint,omitempty"` // set once a mount has touched the object
	LinkTo     cipher.ObjectID  `cbor:"16,keyasint,omitzero"`  // of kindLink
	Links      uint32           `cbor:"17,keyasint,omitzero"`  // names of a shared record
	Encryption storedEncryption `cbor:"18,keyasint,omitzero"`  // absent: SSE-S3
}

type recordKind uint8

const (
	kindObject       recordKind = 1
	kindDeleteMarker recordKind = 2
	kindLink         recordKind = 3 // a name of the shared record LinkTo
)

// metadata is Metadata as stored.
type metadata struct {
	ContentType        string            `cbor:"1,keyasint,omitempty"`
	CacheControl       string            `cbor:"2,keyasint,omitempty"`
	ContentDisposition string            `cbor:"3,keyasint,omitempty"`
	ContentEncoding    string            `cbor:"4,keyasint,omitempty"`
	ContentLanguage    string            `cbor:"5,keyasint,omitempty"`
	Expires            string            `cbor:"6,keyasint,omitempty"`
	WebsiteRedirect    string            `cbor:"7,keyasint,omitempty"`
	StorageClass       string            `cbor:"8,keyasint,omitempty"`
	User               map[string]string `cbor:"9,keyasint,omitempty"`
}

// IsZero lets an empty set of metadata be left out.
func (m metadata) IsZero() bool {
	return m.ContentType == "" && m.CacheControl == "" && m.ContentDisposition == "" && m.ContentEncoding == "" &&
		m.ContentLanguage == "" && m.Expires == "" && m.WebsiteRedirect == "" && m.StorageClass == "" && len(m.User) == 0
}

type storedChecksum struct {
	Algorithm checksum.Algorithm `cbor:"1,keyasint,omitzero"`
	Type      checksum.Type      `cbor:"2,keyasint,omitzero"`
	Value     []byte             `cbor:"3,keyasint,omitempty"`
	Parts     int                `cbor:"4,keyasint,omitzero"`
}

// IsZero lets an absent checksum be left out.
func (c storedChecksum) IsZero() bool { return c.Algorithm == 0 }

// storedEncryption is what clients are told of an encryption. What counts for opening stands in the SealedKeys.
type storedEncryption struct {
	Mode      cipher.Mode `cbor:"1,keyasint,omitzero"`
	KeyID     string      `cbor:"2,keyasint,omitempty"`
	Context   []byte      `cbor:"3,keyasint,omitempty"` // the client's, as sent
	BucketKey bool        `cbor:"4,keyasint,omitzero"`
}

// IsZero lets SSE-S3 be left out.
func (e storedEncryption) IsZero() bool { return e.Mode == 0 }

func (e storedEncryption) public() Encryption {
	if e.Mode == 0 {
		return Encryption{Mode: cipher.ModeSSES3}
	}
	return Encryption{Mode: e.Mode, KeyID: e.KeyID, Context: e.Context, BucketKey: e.BucketKey}
}

// attributes are what a mount keeps of a file. Times are Unix nanoseconds.
type attributes struct {
	Mode       uint32            `cbor:"1,keyasint"` // st_mode: type and permissions
	UID        uint32            `cbor:"2,keyasint"`
	GID        uint32            `cbor:"3,keyasint"`
	AccessTime int64             `cbor:"4,keyasint"`
	ChangeTime int64             `cbor:"5,keyasint"`
	BirthTime  int64             `cbor:"6,keyasint"`
	Device     uint64            `cbor:"7,keyasint,omitzero"`
	Extended   map[string][]byte `cbor:"8,keyasint,omitempty"`
}

// body is a tree of extents. Depth 0 keeps them here; above it Pages are the root's references, and the pages at the
// lowest level hold the extents.
type body struct {
	ID      cipher.BodyID `cbor:"1,keyasint,omitzero"` // zero: no bytes
	Depth   uint8         `cbor:"2,keyasint,omitzero"`
	Extents []extent      `cbor:"3,keyasint,omitempty"`
	Pages   []pageRef     `cbor:"4,keyasint,omitempty"`

	Edited editState       `cbor:"5,keyasint,omitzero"`
	Stale  int64           `cbor:"6,keyasint,omitzero"`  // bytes of its chunks that edits have covered since it was tidied
	Bases  []cipher.BodyID `cbor:"7,keyasint,omitempty"` // bodies that it borrows from; it holds a reference on each
}

// IsZero lets the body of an empty object be left out.
func (b body) IsZero() bool { return b.ID.IsZero() }

// editState says how to find all chunks that a body owns.
type editState uint8

const (
	unedited   editState = 0 // its tree names them, in pages that are all its own
	editedOnce editState = 1 // those of the tree that its bodyRecord has as Origin, and those under its ownedKeys
	editedTidy editState = 2 // those under its ownedKeys
)

// extent is a run of a body's bytes. What no extent covers reads as zeros.
type extent struct {
	_      struct{} `cbor:",toarray"`
	Offset int64    // in the body
	Length int64
	Chunk  cipher.ChunkID
	At     int64 // offset in the chunk's plaintext
	Slot   uint8 // index into the record's Keys
	Place  place
}

// place says which store keeps a chunk.
type place uint8

const (
	inChunkStore place = 0
	inMetastore  place = 1
)

// pageRef points to a page. First is the body offset (or part number) at which its entries begin.
type pageRef struct {
	_     struct{} `cbor:",toarray"`
	First int64
	Page  cipher.PageID
}

// partTable is the parts of a multipart object, here or in pages.
type partTable struct {
	Count  int         `cbor:"1,keyasint,omitzero"`
	Inline []partEntry `cbor:"2,keyasint,omitempty"`
	Pages  []pageRef   `cbor:"3,keyasint,omitempty"`
}

// IsZero lets the table of an object that was put whole be left out.
func (t partTable) IsZero() bool { return t.Count == 0 }

type partEntry struct {
	_        struct{} `cbor:",toarray"`
	Number   int
	Offset   int64
	Size     int64
	MD5      []byte
	Checksum []byte
	ModTime  int64
}

// page is an immutable run of entries; one of the slices is set.
type page struct {
	Format  uint8       `cbor:"1,keyasint"`
	Extents []extent    `cbor:"2,keyasint,omitempty"`
	Refs    []pageRef   `cbor:"3,keyasint,omitempty"`
	Parts   []partEntry `cbor:"4,keyasint,omitempty"`

	Owner cipher.BodyID `cbor:"5,keyasint,omitzero"` // set by edits; absent: the body that was written with it
}

// storeRecord binds the metastore to its store.
type storeRecord struct {
	Format  uint8          `cbor:"1,keyasint"`
	Store   cipher.StoreID `cbor:"2,keyasint"`
	Created int64          `cbor:"3,keyasint"`
}

// bucketRecord is a bucket. Writes of objects read it for update, so it changes only with the bucket's own settings.
type bucketRecord struct {
	Format     uint8           `cbor:"1,keyasint"`
	ID         cipher.BucketID `cbor:"2,keyasint"`
	Created    int64           `cbor:"3,keyasint"`
	Generation uint32          `cbor:"4,keyasint"`          // of the bucket KEK that new objects use
	Deleting   cipher.RunID    `cbor:"5,keyasint,omitzero"` // the run that is looking whether it is empty

	Encryption bucketEncryption  `cbor:"6,keyasint,omitzero"`
	Last       uint32            `cbor:"7,keyasint,omitzero"`  // newest generation of any KEK; absent: Generation
	KMS        map[string]uint32 `cbor:"8,keyasint,omitempty"` // key id → generation that new SSE-KMS objects use
	Root       *attributes       `cbor:"9,keyasint,omitempty"` // of the root directory, once a mount has changed them
	Renames    []renameEntry     `cbor:"10,keyasint,omitempty"`
}

// bucketEncryption is BucketEncryption as stored.
type bucketEncryption struct {
	Mode      cipher.Mode `cbor:"1,keyasint,omitzero"`
	KeyID     string      `cbor:"2,keyasint,omitempty"`
	BucketKey bool        `cbor:"3,keyasint,omitzero"`
	BlockSSEC bool        `cbor:"4,keyasint,omitzero"`
}

// kekRecord is one generation of a bucket's KEK.
type kekRecord struct {
	Format      uint8              `cbor:"1,keyasint"`
	Instance    cipher.InstanceID  `cbor:"2,keyasint"`
	KeyID       string             `cbor:"3,keyasint"`
	Fingerprint cipher.Fingerprint `cbor:"4,keyasint"`
	Version     uint32             `cbor:"5,keyasint"`
	Ciphertext  []byte             `cbor:"6,keyasint"`
	Context     []byte             `cbor:"7,keyasint"`
	Created     int64              `cbor:"8,keyasint"`
	Seals       uint64             `cbor:"9,keyasint"` // an upper bound of the DataKeys sealed under it
}

// uploadRecord is a multipart upload in progress.
type uploadRecord struct {
	Format     uint8              `cbor:"1,keyasint"`
	Object     cipher.ObjectID    `cbor:"2,keyasint"` // of the object it will become
	Initiated  int64              `cbor:"3,keyasint"`
	Meta       metadata           `cbor:"4,keyasint,omitzero"`
	Algorithm  checksum.Algorithm `cbor:"5,keyasint,omitzero"`
	Type       checksum.Type      `cbor:"6,keyasint,omitzero"`
	Key        []byte             `cbor:"7,keyasint"` // SealedKey of its parts
	Completing cipher.WriterID    `cbor:"8,keyasint,omitzero"`
	Run        cipher.RunID       `cbor:"9,keyasint,omitzero"` // that Completing belongs to
	Encryption storedEncryption   `cbor:"10,keyasint,omitzero"`
}

// partRecord is one part of an upload.
type partRecord struct {
	Format   uint8  `cbor:"1,keyasint"`
	Size     int64  `cbor:"2,keyasint"`
	MD5      []byte `cbor:"3,keyasint"`
	Checksum []byte `cbor:"4,keyasint,omitempty"`
	ModTime  int64  `cbor:"5,keyasint"`
	Body     body   `cbor:"6,keyasint,omitzero"`
}

// intentRecord names what a writer may leave behind.
type intentRecord struct {
	Format uint8            `cbor:"1,keyasint"`
	Chunks []cipher.ChunkID `cbor:"2,keyasint,omitempty"`
	Pages  []cipher.PageID  `cbor:"3,keyasint,omitempty"`
}

// removal is a queued removal: of a body with its part table, of an upload's parts but for the numbers in Used,
// or of the KEKs of a bucket that is gone.
type removal struct {
	Format uint8           `cbor:"1,keyasint"`
	Body   body            `cbor:"2,keyasint,omitzero"`
	Parts  []pageRef       `cbor:"3,keyasint,omitempty"`
	Upload cipher.UploadID `cbor:"4,keyasint,omitzero"`
	Used   []byte          `cbor:"5,keyasint,omitempty"` // bit n%8 of byte n/8 is part n
	Bucket cipher.BucketID `cbor:"6,keyasint,omitzero"`

	Garbage *garbage `cbor:"7,keyasint,omitempty"` // what Body.ID, which lives on, does not need any more
	Base    bool     `cbor:"8,keyasint,omitzero"`  // a reference of a body that borrowed from Body.ID; its bodyRecord has the tree
}

// garbage is what an edit of a body left behind.
type garbage struct {
	Pages  []cipher.PageID  `cbor:"1,keyasint,omitempty"`
	Files  []cipher.ChunkID `cbor:"2,keyasint,omitempty"` // chunks of the chunk store
	Inline []cipher.ChunkID `cbor:"3,keyasint,omitempty"` // chunks of the metastore
}

// bodyRecord says what a body owns beside what its present tree shows. It exists for bodies that were edited, and for
// those that others borrow from.
type bodyRecord struct {
	Format uint8 `cbor:"1,keyasint"`
	Origin *body `cbor:"2,keyasint,omitempty"` // the tree as it was before the first edit since the body was tidied
	Frozen *body `cbor:"3,keyasint,omitempty"` // the tree as it is since others borrow from it
}

// countRecord counts the records that share a body, two or more. An absent one means a single reference.
type countRecord struct {
	Format uint8  `cbor:"1,keyasint"`
	Count  uint32 `cbor:"2,keyasint"`
	Lent   bool   `cbor:"3,keyasint,omitzero"` // other bodies borrowed from it: it has a bodyRecord, and this entry stays at 1
}

// linkRecord says that a key is a name of a shared record; the metastore key says which.
type linkRecord struct {
	Format uint8 `cbor:"1,keyasint"`
}

// timesRecord is the times of a directory, in Unix nanoseconds.
type timesRecord struct {
	Format     uint8 `cbor:"1,keyasint"`
	ModTime    int64 `cbor:"2,keyasint"`
	ChangeTime int64 `cbor:"3,keyasint"`
}

// codec is the one value of the package that is made when the program starts: it never changes, and its limits are
// constants. S3 lets text be any bytes.
var codec = func() strictcbor.Codec {
	c, err := strictcbor.New(strictcbor.Limits{Nested: 8, Array: maxEncodedElement, Map: maxEncodedElement, AnyBytes: true})
	if err != nil {
		panic(err)
	}
	return c
}()

// encode never fails for the types of this file.
func encode(v any) []byte {
	b, err := codec.Encode(v)
	if err != nil {
		panic(fmt.Sprintf("object: encode %T: %v", v, err))
	}
	return b
}

// formatted is implemented by everything that is stored.
type formatted interface{ format() uint8 }

func (r *record) format() uint8       { return r.Format }
func (p *page) format() uint8         { return p.Format }
func (r *storeRecord) format() uint8  { return r.Format }
func (r *bucketRecord) format() uint8 { return r.Format }
func (r *kekRecord) format() uint8    { return r.Format }
func (r *uploadRecord) format() uint8 { return r.Format }
func (r *partRecord) format() uint8   { return r.Format }
func (r *intentRecord) format() uint8 { return r.Format }
func (r *removal) format() uint8      { return r.Format }
func (r *countRecord) format() uint8  { return r.Format }
func (r *timesRecord) format() uint8  { return r.Format }
func (r *linkRecord) format() uint8   { return r.Format }
func (r *bodyRecord) format() uint8   { return r.Format }

// decode reads v from b. Trailing bytes, unknown fields and another format are errors of KindCorrupt.
func decode(b []byte, v formatted) error {
	if err := codec.Decode(b, v); err != nil {
		return errKindf(KindCorrupt, "decode %T: %w", v, err)
	}
	if v.format() != recordFormat {
		return errKindf(KindCorrupt, "%T has format %d, this version reads %d", v, v.format(), recordFormat)
	}
	return nil
}

// validate checks what the codec cannot: numbers from the store before they are used in arithmetic.
func (r *record) validate() error {
	switch {
	case r.Kind == kindLink && !r.LinkTo.IsZero():
		return nil
	case r.Kind != kindObject:
		return errKindf(KindNotImplemented, "record of kind %d", r.Kind)
	case r.Size < 0 || r.Size > MaxObjectSize:
		return errKindf(KindCorrupt, "record of %d bytes", r.Size)
	case len(r.Keys) > maxKeySlots:
		return errKindf(KindCorrupt, "record with %d key slots", len(r.Keys))
	}
	return validateExtents(r.Body.Extents, len(r.Keys))
}

func validateExtents(extents []extent, slots int) error {
	var end int64
	for _, e := range extents {
		if e.Offset < end || e.Length <= 0 || e.At < 0 || e.Offset > math.MaxInt64-e.Length || e.At > math.MaxInt64-e.Length ||
			int(e.Slot) >= slots || e.Place > borrowedInMetastore {
			return errKindf(KindCorrupt, "extent at %d of %d bytes", e.Offset, e.Length)
		}
		end = e.Offset + e.Length
	}
	return nil
}
