package s3xml

import (
	"io"

	"coffer/s3api/s3err"
)

// Limits of request documents.
const (
	MaxDeleteObjects = 1000
	MaxParts         = 10000

	maxDeleteBytes   = 8 << 20 // 1,000 keys of 1,024 bytes, each byte up to 6 as a reference
	maxCompleteBytes = 4 << 20 // 10,000 parts with a checksum each
	maxConfigBytes   = 64 << 10
)

// DeleteObject is a key to delete. ETag, LastModifiedTime and Size are
// conditions; they are "" when not given.
type DeleteObject struct {
	Key, VersionID               string
	ETag, LastModifiedTime, Size string
}

// Conditional reports whether the entry carries a condition.
func (o *DeleteObject) Conditional() bool {
	return o.ETag != "" || o.LastModifiedTime != "" || o.Size != ""
}

// Delete is the body of DeleteObjects.
type Delete struct {
	Objects []DeleteObject // 1 to MaxDeleteObjects
	Quiet   bool
}

// ReadDelete reads the body of DeleteObjects.
func ReadDelete(r io.Reader) (*Delete, error) {
	d := &Delete{}
	return readRequired(r, maxDeleteBytes, "Delete", d, d.read)
}

func (d *Delete) read(s *scanner) error {
	quiet := false
	err := s.children(func(name string) (err error) {
		switch {
		case name == "Object" && len(d.Objects) < MaxDeleteObjects:
			return d.readObject(s)
		case name == "Quiet" && !quiet:
			quiet = true
			d.Quiet, err = s.flag()
			return err
		}
		return s.malformed("unexpected element %s", name)
	})
	if err == nil && len(d.Objects) == 0 {
		return s.malformed("no Object")
	}
	return err
}

func (d *Delete) readObject(s *scanner) error {
	var o DeleteObject
	err := s.fields(func(name string) *string {
		switch name {
		case "Key":
			return &o.Key
		case "VersionId":
			return &o.VersionID
		case "ETag":
			return &o.ETag
		case "LastModifiedTime":
			return &o.LastModifiedTime
		case "Size":
			return &o.Size
		}
		return nil
	})
	if err == nil && o.Key == "" {
		return s.malformed("Object without Key")
	}
	d.Objects = append(d.Objects, o)
	return err
}

// CompletePart is a part named by CompleteMultipartUpload.
type CompletePart struct {
	Number    int    // as sent; whether it is 1 to 10,000 is for the caller
	ETag      string // as sent, with or without quotes
	Checksums Checksums
}

// CompleteMultipartUpload is the body of CompleteMultipartUpload.
type CompleteMultipartUpload struct {
	Parts []CompletePart // 1 to MaxParts, in the order sent
}

// ReadCompleteMultipartUpload reads the body of CompleteMultipartUpload.
func ReadCompleteMultipartUpload(r io.Reader) (*CompleteMultipartUpload, error) {
	d := &CompleteMultipartUpload{}
	return readRequired(r, maxCompleteBytes, "CompleteMultipartUpload", d, d.read)
}

func (d *CompleteMultipartUpload) read(s *scanner) error {
	err := s.children(func(name string) error {
		if name != "Part" || len(d.Parts) >= MaxParts {
			return s.malformed("unexpected element %s", name)
		}
		return d.readPart(s)
	})
	if err == nil && len(d.Parts) == 0 {
		return s.malformed("no Part")
	}
	return err
}

func (d *CompleteMultipartUpload) readPart(s *scanner) error {
	var p CompletePart
	var number, unsupported string
	err := s.fields(func(name string) *string {
		switch name {
		case "PartNumber":
			return &number
		case "ETag":
			return &p.ETag
		case "ChecksumCRC32":
			return &p.Checksums.CRC32
		case "ChecksumCRC32C":
			return &p.Checksums.CRC32C
		case "ChecksumCRC64NVME":
			return &p.Checksums.CRC64NVME
		case "ChecksumSHA1":
			return &p.Checksums.SHA1
		case "ChecksumSHA256":
			return &p.Checksums.SHA256
		case "ChecksumMD5", "ChecksumSHA512", "ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128":
			return &unsupported
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case unsupported != "":
		return s3err.New(s3err.NotImplemented)
	}
	n, err := s.integer(number)
	if err != nil || n > 1<<31-1 || p.ETag == "" {
		return s.malformed("Part without number or ETag")
	}
	p.Number = int(n)
	d.Parts = append(d.Parts, p)
	return nil
}

// CreateBucketConfiguration is the body of CreateBucket.
type CreateBucketConfiguration struct {
	LocationConstraint string // "" is us-east-1
}

// ReadCreateBucketConfiguration reads the body of CreateBucket, which may be
// empty. What belongs to directory buckets, and tags, are NotImplemented.
func ReadCreateBucketConfiguration(r io.Reader) (*CreateBucketConfiguration, error) {
	d := &CreateBucketConfiguration{}
	_, err := readDocument(r, maxConfigBytes, "CreateBucketConfiguration", func(s *scanner) error {
		seen := false
		return s.children(func(name string) (err error) {
			switch {
			case name == "LocationConstraint" && !seen:
				seen = true
				d.LocationConstraint, err = s.leaf()
				return err
			case name == "Location", name == "Bucket", name == "Tags":
				return s3err.New(s3err.NotImplemented)
			}
			return s.malformed("unexpected element %s", name)
		})
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
