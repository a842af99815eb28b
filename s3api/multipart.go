package s3api

import (
	"context"
	"strconv"

	"coffer/object"
	"coffer/object/checksum"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

func (s *Server) createUpload(ctx context.Context, c *call) error {
	req := object.UploadRequest{Bucket: c.bucket, Key: c.key, Sealing: c.sealing}
	var err error
	if req.Meta, err = c.metadata(); err != nil {
		return err
	}
	if req.Algorithm, err = c.checksumAlgorithm(); err != nil {
		return err
	}
	if req.Type, err = c.checksumType(); err != nil {
		return err
	}
	if req.Type != 0 && req.Algorithm == 0 {
		return s3err.Newf(s3err.InvalidRequest,
			"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	}
	up, err := s.store.CreateUpload(ctx, req)
	if err != nil {
		return err
	}
	c.setEncryption(up.Encryption)
	c.setContext(up.Encryption)
	c.set("x-amz-checksum-algorithm", up.Checksum.Algorithm.String())
	c.set("x-amz-checksum-type", up.Checksum.Type.String())
	c.xml(&s3xml.InitiateMultipartUpload{Bucket: c.bucket, Key: c.key, UploadID: up.UploadID})
	return nil
}

// checksumType reads x-amz-checksum-type; 0 when it was not sent.
func (c *call) checksumType() (checksum.Type, error) {
	switch v := c.get("x-amz-checksum-type"); v {
	case "":
		return 0, nil
	case "FULL_OBJECT":
		return checksum.FullObject, nil
	case "COMPOSITE":
		return checksum.Composite, nil
	default:
		return 0, s3err.Newf(s3err.InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	}
}

func (s *Server) uploadPart(ctx context.Context, c *call) error {
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	body, digests, err := c.openObject()
	if err != nil {
		return err
	}
	info, err := s.store.PutPart(ctx, object.PartRequest{
		Bucket: c.bucket, Key: c.key, UploadID: c.param("uploadId"), Number: number,
		Body: body, Size: body.size, Digests: digests, Customer: c.sealing.Customer, Unproven: !c.ver.Proven(),
	})
	if err != nil {
		return partKeyError(err)
	}
	c.set("ETag", quoted(info.ETag))
	c.setEncryption(info.Encryption)
	if info.Checksum.Value != nil {
		c.set(checksumField(info.Checksum.Algorithm), checksumText(&info.Checksum))
	}
	c.empty(200)
	return nil
}

func (s *Server) completeUpload(ctx context.Context, c *call) error {
	req, err := c.completeRequest()
	if err != nil {
		return err
	}
	info, err := s.store.CompleteUpload(ctx, req)
	if err != nil {
		return err
	}
	c.setEncryption(info.Encryption)
	if info.VersionID != object.NullVersion {
		c.set("x-amz-version-id", info.VersionID)
	}
	c.xml(&s3xml.CompleteMultipartUploadResult{
		Location: c.location(), Bucket: c.bucket, Key: c.key, ETag: quoted(info.ETag), Checksums: checksums(&info.Checksum),
	})
	return nil
}

func (c *call) completeRequest() (object.CompleteRequest, error) {
	req := object.CompleteRequest{
		Bucket: c.bucket, Key: c.key, UploadID: c.param("uploadId"), Size: -1, If: c.writeConditions(),
	}
	body, err := c.document(digestOfObject, maxCompleteDocument)
	if err != nil {
		return req, err
	}
	doc, err := s3xml.ReadCompleteMultipartUpload(body)
	if err != nil {
		return req, err
	}
	for i := range doc.Parts {
		part, err := completedPart(&doc.Parts[i])
		if err != nil {
			return req, err
		}
		req.Parts = append(req.Parts, part)
	}
	if v := c.get("x-amz-mp-object-size"); v != "" {
		if req.Size, err = strconv.ParseInt(v, 10, 64); err != nil || req.Size < 0 {
			return req, invalidArgument("x-amz-mp-object-size", v, "Value for x-amz-mp-object-size header is invalid.")
		}
	}
	req.Checksum, err = c.objectChecksum()
	return req, err
}

// objectChecksum is the checksum that a finished upload must have.
func (c *call) objectChecksum() (object.Checksum, error) {
	var sum object.Checksum
	var err error
	if sum.Type, err = c.checksumType(); err != nil {
		return sum, err
	}
	if sum.Algorithm, err = c.checksumHeader(); err != nil || sum.Algorithm == 0 {
		return sum, err
	}
	value, parts := cutParts(c.get(checksumField(sum.Algorithm)))
	sum.Parts = parts
	sum.Value, err = decodeChecksum(sum.Algorithm, value)
	return sum, err
}

func completedPart(p *s3xml.CompletePart) (object.CompletedPart, error) {
	part := object.CompletedPart{Number: p.Number, ETag: p.ETag}
	for _, sum := range []struct {
		algorithm checksum.Algorithm
		value     string
	}{
		{checksum.CRC32, p.Checksums.CRC32}, {checksum.CRC32C, p.Checksums.CRC32C}, {checksum.CRC64NVME, p.Checksums.CRC64NVME},
		{checksum.SHA1, p.Checksums.SHA1}, {checksum.SHA256, p.Checksums.SHA256},
	} {
		if sum.value == "" {
			continue
		}
		if part.Checksum.Value != nil {
			return part, s3err.New(s3err.MalformedXML)
		}
		value, err := decodeChecksum(sum.algorithm, sum.value)
		if err != nil {
			return part, s3err.New(s3err.InvalidPart)
		}
		part.Checksum = object.Checksum{Algorithm: sum.algorithm, Type: checksum.FullObject, Value: value}
	}
	return part, nil
}

// cutParts splits a composite checksum, which may name its number of parts as in <base64>-<parts>.
func cutParts(v string) (value string, parts int) {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] == '-' {
			n, err := strconv.Atoi(v[i+1:])
			if err != nil {
				return v, 0
			}
			return v[:i], n
		}
	}
	return v, 0
}

// location is the URL of an object as the client may ask for it.
func (c *call) location() string {
	scheme := "http://"
	if c.secure {
		scheme = "https://"
	}
	return scheme + c.host + c.rawPath
}

func (s *Server) abortUpload(ctx context.Context, c *call) error {
	if err := s.store.AbortUpload(ctx, c.bucket, c.key, c.param("uploadId")); err != nil {
		return err
	}
	c.empty(204)
	return nil
}

func (s *Server) listParts(ctx context.Context, c *call) error {
	req := object.ListPartsRequest{Bucket: c.bucket, Key: c.key, UploadID: c.param("uploadId")}
	var err error
	if req.Max, err = c.intParam("max-parts", maxListedParts, 0, maxListedParts); err != nil {
		return err
	}
	if req.After, err = c.intParam("part-number-marker", 0, 0, object.MaxParts); err != nil {
		return err
	}
	encoding, err := c.encodingType()
	if err != nil {
		return err
	}
	list, err := s.store.ListParts(ctx, req)
	if err != nil {
		return err
	}
	doc := &s3xml.ListParts{
		Bucket: c.bucket, Key: c.key, UploadID: list.Upload.UploadID, Initiator: &s.owner, Owner: &s.owner,
		StorageClass: storageClass(list.Upload.Meta.StorageClass), PartNumberMarker: req.After, MaxParts: req.Max,
		IsTruncated: list.More, EncodingType: encoding,
		ChecksumAlgorithm: list.Upload.Checksum.Algorithm.String(), ChecksumType: list.Upload.Checksum.Type.String(),
	}
	for i := range list.Parts {
		p := &list.Parts[i]
		sums := checksums(&p.Checksum)
		sums.Type = "" // the list's own
		doc.Parts = append(doc.Parts, s3xml.Part{
			Number: p.Number, LastModified: p.ModTime, ETag: quoted(p.ETag), Size: p.Size, Checksums: sums,
		})
		doc.NextPartNumberMarker = p.Number
	}
	c.xml(doc)
	return nil
}

// maxListedParts is how many parts a page has at most.
const maxListedParts = 1000

func storageClass(c string) string { return orDefault(c, "STANDARD") }
