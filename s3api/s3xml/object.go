package s3xml

import "time"

// Checksums are the additional checksums of an object or part, base64; a
// composite one ends in -N. Type is "FULL_OBJECT", "COMPOSITE" or "".
type Checksums struct {
	CRC32, CRC32C, CRC64NVME, SHA1, SHA256, Type string
}

func (e *encoder) checksums(c *Checksums) {
	e.optional("ChecksumCRC32", c.CRC32)
	e.optional("ChecksumCRC32C", c.CRC32C)
	e.optional("ChecksumCRC64NVME", c.CRC64NVME)
	e.optional("ChecksumSHA1", c.SHA1)
	e.optional("ChecksumSHA256", c.SHA256)
	e.optional("ChecksumType", c.Type)
}

// CopyResult answers CopyObject, and UploadPartCopy when Part is set.
type CopyResult struct {
	Part         bool
	LastModified time.Time
	ETag         string // with quotes
	Checksums    Checksums
}

// AppendXML implements Document.
func (d *CopyResult) AppendXML(dst []byte) []byte {
	name := "CopyObjectResult"
	if d.Part {
		name = "CopyPartResult"
	}
	e := root(dst, name)
	e.time("LastModified", d.LastModified)
	e.text("ETag", d.ETag)
	e.checksums(&d.Checksums)
	e.end(name)
	return e.b
}

// Deleted is a key that DeleteObjects removed.
type Deleted struct {
	Key, VersionID        string
	DeleteMarker          bool
	DeleteMarkerVersionID string
}

// DeleteError is a key that DeleteObjects could not remove.
type DeleteError struct {
	Key, VersionID, Code, Message string
}

// DeleteResult answers DeleteObjects.
type DeleteResult struct {
	Deleted []Deleted
	Errors  []DeleteError
}

// AppendXML implements Document.
func (d *DeleteResult) AppendXML(dst []byte) []byte {
	e := root(dst, "DeleteResult")
	for i := range d.Deleted {
		o := &d.Deleted[i]
		e.open("Deleted")
		e.text("Key", o.Key)
		e.optional("VersionId", o.VersionID)
		if o.DeleteMarker {
			e.bool("DeleteMarker", true)
		}
		e.optional("DeleteMarkerVersionId", o.DeleteMarkerVersionID)
		e.end("Deleted")
	}
	for i := range d.Errors {
		o := &d.Errors[i]
		e.open("Error")
		e.text("Key", o.Key)
		e.optional("VersionId", o.VersionID)
		e.text("Code", o.Code)
		e.text("Message", o.Message)
		e.end("Error")
	}
	e.end("DeleteResult")
	return e.b
}

// AttributePart is an entry of ObjectParts.
type AttributePart struct {
	Number    int
	Size      int64
	Checksums Checksums
}

// ObjectParts is a page of an object's parts. S3 lists Parts only for objects
// that were uploaded with an additional checksum; else it gives the count alone.
type ObjectParts struct {
	Total                int
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Parts                []AttributePart
}

// ObjectAttributes answers GetObjectAttributes. What was not asked for is zero.
type ObjectAttributes struct {
	ETag         string // without quotes
	Checksums    *Checksums
	Parts        *ObjectParts
	StorageClass string
	Size         *int64
}

// AppendXML implements Document.
func (d *ObjectAttributes) AppendXML(dst []byte) []byte {
	e := root(dst, "GetObjectAttributesResponse")
	e.optional("ETag", d.ETag)
	if d.Checksums != nil {
		e.open("Checksum")
		e.checksums(d.Checksums)
		e.end("Checksum")
	}
	if d.Parts != nil {
		e.objectParts(d.Parts)
	}
	e.optional("StorageClass", d.StorageClass)
	if d.Size != nil {
		e.int("ObjectSize", *d.Size)
	}
	e.end("GetObjectAttributesResponse")
	return e.b
}

func (e *encoder) objectParts(p *ObjectParts) {
	e.open("ObjectParts")
	e.int("PartsCount", int64(p.Total))
	if p.Parts != nil {
		e.int("PartNumberMarker", int64(p.PartNumberMarker))
		e.int("NextPartNumberMarker", int64(p.NextPartNumberMarker))
		e.int("MaxParts", int64(p.MaxParts))
		e.bool("IsTruncated", p.IsTruncated)
	}
	for i := range p.Parts {
		e.open("Part")
		e.int("PartNumber", int64(p.Parts[i].Number))
		e.int("Size", p.Parts[i].Size)
		e.checksums(&p.Parts[i].Checksums)
		e.end("Part")
	}
	e.end("ObjectParts")
}
