package s3api

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"coffer/object"
	"coffer/object/checksum"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
	"coffer/s3api/sigv4"
)

// copySource is x-amz-copy-source.
type copySource struct {
	bucket, key, versionID string
}

// parseCopySource reads <bucket>/<key>[?versionId=<id>], URL-encoded, with or without a slash in front.
func parseCopySource(v string) (copySource, error) {
	invalid := func(reason string) (copySource, error) {
		return copySource{}, invalidArgument("x-amz-copy-source", v, "%s", reason)
	}
	raw, query, hasQuery := strings.Cut(v, "?")
	path, ok := sigv4.UnescapePath(raw)
	if !ok || !utf8.ValidString(path) {
		return invalid("Invalid copy source encoding.")
	}
	var src copySource
	src.bucket, src.key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if src.bucket == "" || src.key == "" {
		return invalid("Invalid copy source object key")
	}
	if strings.HasPrefix(src.bucket, "arn:") {
		return copySource{}, s3err.New(s3err.NotImplemented).With("Header", "x-amz-copy-source")
	}
	if hasQuery {
		if src.versionID, ok = strings.CutPrefix(query, "versionId="); !ok || src.versionID == "" {
			return invalid("Invalid version id in the copy source")
		}
	}
	return src, nil
}

func (s *Server) copyObject(ctx context.Context, c *call) error {
	req, err := c.copyRequest()
	if err != nil {
		return err
	}
	if err := s.keepMetadataOfSelf(ctx, c, &req); err != nil {
		return err
	}
	info, err := s.store.Copy(ctx, req)
	if err != nil {
		return err
	}
	c.setCopySourceVersion(req.SourceVersionID)
	c.setEncryption(info.Encryption)
	c.setContext(info.Encryption)
	c.xml(&s3xml.CopyResult{LastModified: info.ModTime, ETag: quoted(info.ETag), Checksums: checksums(&info.Checksum)})
	return nil
}

func (c *call) copyRequest() (object.CopyRequest, error) {
	req := object.CopyRequest{
		Bucket: c.bucket, Key: c.key, SourceIf: c.readConditions(sourcePrefix), If: c.writeConditions(),
		SourceCustomer: c.source.Customer, Sealing: c.sealing,
	}
	src, err := parseCopySource(c.get("x-amz-copy-source"))
	if err != nil {
		return req, err
	}
	req.SourceBucket, req.SourceKey, req.SourceVersionID = src.bucket, src.key, src.versionID
	switch v := c.get("x-amz-metadata-directive"); v {
	case "", "COPY":
	case "REPLACE":
		meta, err := c.metadata()
		if err != nil {
			return req, err
		}
		req.Meta = &meta
	default:
		return req, invalidArgument("x-amz-metadata-directive", v, "Unknown metadata directive.")
	}
	if v := c.get("x-amz-tagging-directive"); v != "" && v != "COPY" && v != "REPLACE" {
		return req, invalidArgument("x-amz-tagging-directive", v, "Unknown tagging directive.")
	}
	req.Algorithm, err = c.checksumAlgorithm()
	return req, err
}

// checksumAlgorithm reads x-amz-checksum-algorithm; 0 when it was not sent.
func (c *call) checksumAlgorithm() (checksum.Algorithm, error) {
	v := c.get("x-amz-checksum-algorithm")
	if v == "" {
		return 0, nil
	}
	a, err := checksum.Parse(v)
	if err != nil {
		return 0, s3err.Newf(s3err.InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of "+
			"the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	return a, nil
}

// keepMetadataOfSelf serves a copy onto itself that keeps the metadata and names a storage class or a redirect: S3 takes
// each for a change, and so it takes an encryption, though they may be none. Without one of them it is illegal.
func (s *Server) keepMetadataOfSelf(ctx context.Context, c *call, req *object.CopyRequest) error {
	if req.Meta != nil || req.SourceBucket != req.Bucket || req.SourceKey != req.Key || req.Algorithm != 0 {
		return nil
	}
	redirect := c.get("x-amz-website-redirect-location")
	if redirect == "" && !c.has("x-amz-storage-class") {
		if c.sealing.Mode != 0 || c.asksManaged() {
			return nil // the engine keeps the metadata
		}
		return s3err.Newf(s3err.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself "+
			"without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	sel, err := s.store.Head(ctx, object.GetRequest{Bucket: req.SourceBucket, Key: req.SourceKey, VersionID: req.SourceVersionID, Customer: req.SourceCustomer})
	if err != nil {
		return err
	}
	meta := sel.Info.Meta
	if redirect != "" {
		meta.WebsiteRedirect = redirect
	}
	req.Meta = &meta
	return nil
}

func (c *call) setCopySourceVersion(id string) {
	if id != object.NullVersion {
		c.set("x-amz-copy-source-version-id", id)
	}
}

// partCopyError is partKeyError for what is about the upload, which an error names as it names the source. Where both are
// one it is taken to be about the source.
func partCopyError(err error, c *call, src copySource) error {
	e, ok := errors.AsType[*object.Error](err)
	if ok && e.Bucket == c.bucket && e.Key == c.key && (src.bucket != c.bucket || src.key != c.key) {
		return partKeyError(err)
	}
	return err
}

func (s *Server) uploadPartCopy(ctx context.Context, c *call) error {
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	src, err := parseCopySource(c.get("x-amz-copy-source"))
	if err != nil {
		return err
	}
	span, err := parseCopyRange(c.get("x-amz-copy-source-range"))
	if err != nil {
		return err
	}
	info, err := s.store.CopyPart(ctx, object.CopyPartRequest{
		SourceBucket: src.bucket, SourceKey: src.key, SourceVersionID: src.versionID,
		SourceIf: c.readConditions(sourcePrefix), Range: span,
		Bucket: c.bucket, Key: c.key, UploadID: c.param("uploadId"), Number: number,
		SourceCustomer: c.source.Customer, Customer: c.sealing.Customer,
	})
	if err != nil {
		return partCopyError(err, c, src)
	}
	c.setCopySourceVersion(src.versionID)
	c.setEncryption(info.Encryption)
	c.xml(&s3xml.CopyResult{Part: true, LastModified: info.ModTime, ETag: quoted(info.ETag), Checksums: checksums(&info.Checksum)})
	return nil
}
