package s3api

import (
	"encoding/base64"
	"strconv"
	"time"

	"coffer/object"
	"coffer/object/checksum"
	"coffer/s3api/s3xml"
)

// set writes a header field of the answer unless its value is empty.
func (c *call) set(name, value string) {
	if value != "" {
		c.resp.Header.Set(name, value)
	}
}

// empty answers without a body.
func (c *call) empty(status int) {
	c.resp.SetStatusCode(status)
}

// xml answers 200 with a document.
func (c *call) xml(doc s3xml.Document) {
	c.resp.Header.SetContentType("application/xml")
	c.resp.SetBodyRaw(doc.AppendXML(nil))
}

// httpTime is the form of times in header fields.
func httpTime(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }

func quoted(etag string) string { return `"` + etag + `"` }

// setObject writes the fields by which every answer about a version identifies it.
func (c *call) setObject(info *object.ObjectInfo) {
	c.set("ETag", quoted(info.ETag))
	c.setEncryption(info.Encryption)
	c.setContext(info.Encryption)
	if info.VersionID != object.NullVersion {
		c.set("x-amz-version-id", info.VersionID)
	}
}

func (c *call) setChecksum(sum *object.Checksum) {
	if sum.Value == nil {
		return
	}
	c.set(checksumField(sum.Algorithm), checksumText(sum))
	c.set("x-amz-checksum-type", sum.Type.String())
}

// checksumText is base64; a composite checksum names its number of parts.
func checksumText(sum *object.Checksum) string {
	text := base64.StdEncoding.EncodeToString(sum.Value)
	if sum.Type == checksum.Composite && sum.Parts > 0 {
		text += "-" + strconv.Itoa(sum.Parts)
	}
	return text
}

// checksums is a checksum in the form of the documents.
func checksums(sum *object.Checksum) s3xml.Checksums {
	var out s3xml.Checksums
	if sum.Value == nil {
		return out
	}
	out.Type = sum.Type.String()
	text := checksumText(sum)
	switch sum.Algorithm {
	case checksum.CRC32:
		out.CRC32 = text
	case checksum.CRC32C:
		out.CRC32C = text
	case checksum.CRC64NVME:
		out.CRC64NVME = text
	case checksum.SHA1:
		out.SHA1 = text
	case checksum.SHA256:
		out.SHA256 = text
	}
	return out
}
