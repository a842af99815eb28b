package s3xml

import "time"

// InitiateMultipartUpload answers CreateMultipartUpload.
type InitiateMultipartUpload struct {
	Bucket, Key, UploadID string
}

// AppendXML implements Document.
func (d *InitiateMultipartUpload) AppendXML(dst []byte) []byte {
	e := root(dst, "InitiateMultipartUploadResult")
	e.text("Bucket", d.Bucket)
	e.text("Key", d.Key)
	e.text("UploadId", d.UploadID)
	e.end("InitiateMultipartUploadResult")
	return e.b
}

// CompleteMultipartUploadResult answers CompleteMultipartUpload.
type CompleteMultipartUploadResult struct {
	Location, Bucket, Key string
	ETag                  string // with quotes
	Checksums             Checksums
}

// AppendXML implements Document.
func (d *CompleteMultipartUploadResult) AppendXML(dst []byte) []byte {
	e := root(dst, "CompleteMultipartUploadResult")
	e.text("Location", d.Location)
	e.text("Bucket", d.Bucket)
	e.text("Key", d.Key)
	e.text("ETag", d.ETag)
	e.checksums(&d.Checksums)
	e.end("CompleteMultipartUploadResult")
	return e.b
}

// Upload is an entry of ListMultipartUploadsResult.
type Upload struct {
	Key, UploadID     string
	Initiator, Owner  *Owner
	StorageClass      string
	Initiated         time.Time
	ChecksumAlgorithm string
	ChecksumType      string
}

// ListMultipartUploads answers ListMultipartUploads.
type ListMultipartUploads struct {
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string
	NextKeyMarker      string
	NextUploadIDMarker string
	Prefix             string
	Delimiter          string
	EncodingType       string // "" or EncodingURL
	MaxUploads         int
	IsTruncated        bool
	Uploads            []Upload
	CommonPrefixes     []string
}

// AppendXML implements Document.
func (d *ListMultipartUploads) AppendXML(dst []byte) []byte {
	e := root(dst, "ListMultipartUploadsResult")
	e.url = d.EncodingType == EncodingURL
	e.text("Bucket", d.Bucket)
	e.key("KeyMarker", d.KeyMarker)
	e.text("UploadIdMarker", d.UploadIDMarker)
	e.optionalKey("NextKeyMarker", d.NextKeyMarker)
	e.optional("NextUploadIdMarker", d.NextUploadIDMarker)
	e.optionalKey("Prefix", d.Prefix)
	e.optionalKey("Delimiter", d.Delimiter)
	e.optional("EncodingType", d.EncodingType)
	e.int("MaxUploads", int64(d.MaxUploads))
	e.bool("IsTruncated", d.IsTruncated)
	for i := range d.Uploads {
		u := &d.Uploads[i]
		e.open("Upload")
		e.key("Key", u.Key)
		e.text("UploadId", u.UploadID)
		e.owner("Initiator", u.Initiator)
		e.owner("Owner", u.Owner)
		e.optional("StorageClass", u.StorageClass)
		e.time("Initiated", u.Initiated)
		e.optional("ChecksumAlgorithm", u.ChecksumAlgorithm)
		e.optional("ChecksumType", u.ChecksumType)
		e.end("Upload")
	}
	e.prefixes(d.CommonPrefixes)
	e.end("ListMultipartUploadsResult")
	return e.b
}

// Part is an entry of ListPartsResult.
type Part struct {
	Number       int
	LastModified time.Time
	ETag         string // with quotes
	Size         int64
	Checksums    Checksums
}

// ListParts answers ListParts.
type ListParts struct {
	Bucket, Key, UploadID string
	Initiator, Owner      *Owner
	StorageClass          string
	PartNumberMarker      int
	NextPartNumberMarker  int
	MaxParts              int
	IsTruncated           bool
	ChecksumAlgorithm     string
	ChecksumType          string
	EncodingType          string // "" or EncodingURL
	Parts                 []Part
}

// AppendXML implements Document.
func (d *ListParts) AppendXML(dst []byte) []byte {
	e := root(dst, "ListPartsResult")
	e.url = d.EncodingType == EncodingURL
	e.text("Bucket", d.Bucket)
	e.key("Key", d.Key)
	e.text("UploadId", d.UploadID)
	e.owner("Initiator", d.Initiator)
	e.owner("Owner", d.Owner)
	e.optional("StorageClass", d.StorageClass)
	e.int("PartNumberMarker", int64(d.PartNumberMarker))
	e.int("NextPartNumberMarker", int64(d.NextPartNumberMarker))
	e.int("MaxParts", int64(d.MaxParts))
	e.optional("EncodingType", d.EncodingType)
	e.bool("IsTruncated", d.IsTruncated)
	e.optional("ChecksumAlgorithm", d.ChecksumAlgorithm)
	e.optional("ChecksumType", d.ChecksumType)
	for i := range d.Parts {
		p := &d.Parts[i]
		e.open("Part")
		e.int("PartNumber", int64(p.Number))
		e.time("LastModified", p.LastModified)
		e.text("ETag", p.ETag)
		e.int("Size", p.Size)
		e.checksums(&p.Checksums)
		e.end("Part")
	}
	e.end("ListPartsResult")
	return e.b
}
