package s3api

import (
	"context"
	"strconv"
	"strings"

	"coffer/object"
	"coffer/s3api/s3xml"
)

// attributes are the names in x-amz-object-attributes.
type attributes struct {
	etag, checksum, parts, class, size bool
}

func (c *call) attributes() (attributes, error) {
	var a attributes
	v := c.get("x-amz-object-attributes")
	if v == "" {
		return a, invalidArgument("x-amz-object-attributes", v,
			"The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	for name := range strings.SplitSeq(v, ",") {
		switch strings.TrimSpace(name) {
		case "ETag":
			a.etag = true
		case "Checksum":
			a.checksum = true
		case "ObjectParts":
			a.parts = true
		case "StorageClass":
			a.class = true
		case "ObjectSize":
			a.size = true
		default:
			return a, invalidArgument("x-amz-object-attributes", v, "Invalid attribute name specified.")
		}
	}
	return a, nil
}

func (s *Server) getAttributes(ctx context.Context, c *call) error {
	want, err := c.attributes()
	if err != nil {
		return err
	}
	after, limit, err := c.partsPage()
	if err != nil {
		return err
	}
	table, err := s.store.Parts(ctx, object.GetRequest{
		Bucket: c.bucket, Key: c.key, VersionID: c.param("versionId"), Customer: c.sealing.Customer,
	}, after, limit)
	if err != nil {
		return err
	}
	info := &table.Info
	doc := &s3xml.ObjectAttributes{}
	if want.etag {
		doc.ETag = info.ETag
	}
	if want.checksum && info.Checksum.Value != nil {
		sums := checksums(&info.Checksum)
		doc.Checksums = &sums
	}
	if want.parts && table.Total > 0 {
		doc.Parts = objectParts(&table, after, limit)
	}
	if want.class {
		doc.StorageClass = storageClass(info.Meta.StorageClass)
	}
	if want.size {
		doc.Size = &info.Size
	}
	c.setEncryption(info.Encryption)
	c.set("Last-Modified", httpTime(info.ModTime))
	if info.VersionID != object.NullVersion {
		c.set("x-amz-version-id", info.VersionID)
	}
	c.xml(doc)
	return nil
}

// partsPage reads which parts are asked for.
func (c *call) partsPage() (after, limit int, err error) {
	limit = maxListedParts
	if v := c.get("x-amz-max-parts"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 0 {
			return 0, 0, invalidArgument("x-amz-max-parts", v, "Provided max-parts not an integer or within integer range")
		}
	}
	if v := c.get("x-amz-part-number-marker"); v != "" {
		if after, err = strconv.Atoi(v); err != nil || after < 0 {
			return 0, 0, invalidArgument("x-amz-part-number-marker", v,
				"Provided part-number-marker not an integer or within integer range")
		}
	}
	return min(after, object.MaxParts), min(limit, maxListedParts), nil
}

// objectParts lists the parts of an object that has an additional checksum; of another S3 gives the count alone.
func objectParts(t *object.PartTable, after, limit int) *s3xml.ObjectParts {
	p := &s3xml.ObjectParts{Total: t.Total}
	if t.Info.Checksum.Value == nil {
		return p
	}
	p.PartNumberMarker, p.MaxParts, p.IsTruncated = after, limit, t.More
	p.Parts = []s3xml.AttributePart{}
	for i := range t.Parts {
		part := &t.Parts[i]
		sums := checksums(&part.Checksum)
		sums.Type = "" // the object's own
		p.Parts = append(p.Parts, s3xml.AttributePart{Number: part.Number, Size: part.Size, Checksums: sums})
		p.NextPartNumberMarker = part.Number
	}
	return p
}
