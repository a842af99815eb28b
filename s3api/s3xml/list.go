package s3xml

import "time"

// Owner is the owner or initiator of something.
type Owner struct {
	ID, DisplayName string
}

func (e *encoder) owner(name string, o *Owner) {
	if o == nil {
		return
	}
	e.open(name)
	e.text("ID", o.ID)
	e.optional("DisplayName", o.DisplayName)
	e.end(name)
}

// Bucket is an entry of ListAllMyBucketsResult.
type Bucket struct {
	Name         string
	CreationDate time.Time
	Region       string
}

// ListAllMyBuckets answers ListBuckets.
type ListAllMyBuckets struct {
	Owner             Owner
	Buckets           []Bucket
	Prefix            string
	ContinuationToken string
}

// AppendXML implements Document.
func (d *ListAllMyBuckets) AppendXML(dst []byte) []byte {
	e := root(dst, "ListAllMyBucketsResult")
	e.owner("Owner", &d.Owner)
	e.open("Buckets")
	for i := range d.Buckets {
		b := &d.Buckets[i]
		e.open("Bucket")
		e.text("Name", b.Name)
		e.time("CreationDate", b.CreationDate)
		e.optional("BucketRegion", b.Region)
		e.end("Bucket")
	}
	e.end("Buckets")
	e.optional("Prefix", d.Prefix)
	e.optional("ContinuationToken", d.ContinuationToken)
	e.end("ListAllMyBucketsResult")
	return e.b
}

// Object is an entry of an object listing.
type Object struct {
	Key               string
	LastModified      time.Time
	ETag              string // with quotes
	Size              int64
	StorageClass      string
	ChecksumAlgorithm string // "CRC32", …
	ChecksumType      string // "FULL_OBJECT" or "COMPOSITE"
	Owner             *Owner // nil: left out
}

func (e *encoder) objects(objects []Object, prefixes []string) {
	for i := range objects {
		o := &objects[i]
		e.open("Contents")
		e.key("Key", o.Key)
		e.time("LastModified", o.LastModified)
		e.text("ETag", o.ETag)
		e.optional("ChecksumAlgorithm", o.ChecksumAlgorithm)
		e.optional("ChecksumType", o.ChecksumType)
		e.int("Size", o.Size)
		e.owner("Owner", o.Owner)
		e.optional("StorageClass", o.StorageClass)
		e.end("Contents")
	}
	e.prefixes(prefixes)
}

func (e *encoder) prefixes(prefixes []string) {
	for _, p := range prefixes {
		e.open("CommonPrefixes")
		e.key("Prefix", p)
		e.end("CommonPrefixes")
	}
}

// ListBucketV1 answers ListObjects.
type ListBucketV1 struct {
	Name           string
	Prefix         string
	Marker         string
	NextMarker     string
	MaxKeys        int
	Delimiter      string
	EncodingType   string // "" or EncodingURL
	IsTruncated    bool
	Contents       []Object
	CommonPrefixes []string
}

// AppendXML implements Document.
func (d *ListBucketV1) AppendXML(dst []byte) []byte {
	e := root(dst, "ListBucketResult")
	e.url = d.EncodingType == EncodingURL
	e.text("Name", d.Name)
	e.key("Prefix", d.Prefix)
	e.key("Marker", d.Marker)
	e.optionalKey("NextMarker", d.NextMarker)
	e.int("MaxKeys", int64(d.MaxKeys))
	e.optionalKey("Delimiter", d.Delimiter)
	e.optional("EncodingType", d.EncodingType)
	e.bool("IsTruncated", d.IsTruncated)
	e.objects(d.Contents, d.CommonPrefixes)
	e.end("ListBucketResult")
	return e.b
}

// ListBucketV2 answers ListObjectsV2.
type ListBucketV2 struct {
	Name                  string
	Prefix                string
	StartAfter            string
	ContinuationToken     string
	NextContinuationToken string
	KeyCount              int
	MaxKeys               int
	Delimiter             string
	EncodingType          string // "" or EncodingURL
	IsTruncated           bool
	Contents              []Object
	CommonPrefixes        []string
}

// AppendXML implements Document.
func (d *ListBucketV2) AppendXML(dst []byte) []byte {
	e := root(dst, "ListBucketResult")
	e.url = d.EncodingType == EncodingURL
	e.text("Name", d.Name)
	e.key("Prefix", d.Prefix)
	e.optional("ContinuationToken", d.ContinuationToken)
	e.optional("NextContinuationToken", d.NextContinuationToken)
	e.optionalKey("StartAfter", d.StartAfter)
	e.int("KeyCount", int64(d.KeyCount))
	e.int("MaxKeys", int64(d.MaxKeys))
	e.optionalKey("Delimiter", d.Delimiter)
	e.optional("EncodingType", d.EncodingType)
	e.bool("IsTruncated", d.IsTruncated)
	e.objects(d.Contents, d.CommonPrefixes)
	e.end("ListBucketResult")
	return e.b
}
