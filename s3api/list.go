package s3api

import (
	"context"
	"encoding/base64"
	"strings"

	"coffer/object"
	"coffer/s3api/s3xml"
)

func (s *Server) listObjects(ctx context.Context, c *call) error {
	req, encoding, err := c.listRequest()
	if err != nil {
		return err
	}
	marker := c.param("marker")
	req.After = behindMarker(marker, req.Prefix, req.Delimiter)
	list, err := s.store.List(ctx, req)
	if err != nil {
		return err
	}
	doc := &s3xml.ListBucketV1{
		Name: c.bucket, Prefix: req.Prefix, Marker: marker, MaxKeys: req.Max, Delimiter: req.Delimiter, EncodingType: encoding,
		IsTruncated: list.More, Contents: s.contents(list.Objects, true), CommonPrefixes: list.Prefixes,
	}
	if list.More && req.Delimiter != "" { // else the last key is where to go on
		doc.NextMarker = list.Next.Key
	}
	c.xml(doc)
	return nil
}

func (s *Server) listObjectsV2(ctx context.Context, c *call) error {
	if v := c.param("list-type"); v != "2" {
		return invalidArgument("list-type", v, "The list type must be 2.")
	}
	req, encoding, err := c.listRequest()
	if err != nil {
		return err
	}
	token, startAfter := c.param("continuation-token"), c.param("start-after")
	req.After = behindMarker(startAfter, req.Prefix, req.Delimiter)
	if c.query.Has("continuation-token") {
		if req.After, err = parseToken(token); err != nil {
			return err
		}
	}
	list, err := s.store.List(ctx, req)
	if err != nil {
		return err
	}
	doc := &s3xml.ListBucketV2{
		Name: c.bucket, Prefix: req.Prefix, StartAfter: startAfter, ContinuationToken: token,
		KeyCount: len(list.Objects) + len(list.Prefixes), MaxKeys: req.Max, Delimiter: req.Delimiter, EncodingType: encoding,
		IsTruncated: list.More, Contents: s.contents(list.Objects, c.param("fetch-owner") == "true"), CommonPrefixes: list.Prefixes,
	}
	if list.More {
		doc.NextContinuationToken = formatToken(list.Next)
	}
	c.xml(doc)
	return nil
}

// listRequest reads what both versions of the listing have.
func (c *call) listRequest() (req object.ListRequest, encoding string, err error) {
	req = object.ListRequest{Bucket: c.bucket, Prefix: c.param("prefix"), Delimiter: c.param("delimiter")}
	if req.Max, err = c.intParam("max-keys", object.MaxListKeys, 0, object.MaxListKeys); err != nil {
		return req, "", err
	}
	encoding, err = c.encodingType()
	return req, encoding, err
}

// behindMarker is the position behind a key or common prefix that a client names. A marker that ends with the first
// delimiter behind the prefix is a common prefix that an earlier page gave: it does not come again.
func behindMarker(marker, prefix, delimiter string) object.ListPosition {
	rest, below := strings.CutPrefix(marker, prefix)
	folded := below && delimiter != "" && strings.Index(rest, delimiter) == len(rest)-len(delimiter) && len(rest) >= len(delimiter)
	return object.ListPosition{Key: marker, Folded: folded}
}

// A continuation token is base64 of one character, for what the key is, and the key. Clients must not look into it.
const (
	tokenKey    = 'k'
	tokenPrefix = 'p'
)

func formatToken(p object.ListPosition) string {
	what := byte(tokenKey)
	if p.Folded {
		what = tokenPrefix
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{what}, p.Key...))
}

func parseToken(token string) (object.ListPosition, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != tokenKey && b[0] != tokenPrefix {
		return object.ListPosition{}, invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
	}
	return object.ListPosition{Key: string(b[1:]), Folded: b[0] == tokenPrefix}, nil
}

// contents makes a listing's entries.
func (s *Server) contents(infos []object.ObjectInfo, withOwner bool) []s3xml.Object {
	out := make([]s3xml.Object, len(infos))
	for i := range infos {
		info := &infos[i]
		out[i] = s3xml.Object{
			Key: info.Key, LastModified: info.ModTime, ETag: quoted(info.ETag), Size: info.Size,
			StorageClass:      storageClass(info.Meta.StorageClass),
			ChecksumAlgorithm: info.Checksum.Algorithm.String(), ChecksumType: info.Checksum.Type.String(),
		}
		if withOwner {
			out[i].Owner = &s.owner
		}
	}
	return out
}

func (s *Server) listUploads(ctx context.Context, c *call) error {
	keyMarker, idMarker := c.param("key-marker"), c.param("upload-id-marker")
	req := object.ListUploadsRequest{Bucket: c.bucket, Prefix: c.param("prefix"), Delimiter: c.param("delimiter")}
	var err error
	if req.Max, err = c.intParam("max-uploads", object.MaxListKeys, 0, object.MaxListKeys); err != nil {
		return err
	}
	encoding, err := c.encodingType()
	if err != nil {
		return err
	}
	req.After = behindMarker(keyMarker, req.Prefix, req.Delimiter)
	if keyMarker != "" { // without it the other one is to be ignored
		req.AfterID = idMarker
	}
	list, err := s.store.ListUploads(ctx, req)
	if err != nil {
		return err
	}
	doc := &s3xml.ListMultipartUploads{
		Bucket: c.bucket, KeyMarker: keyMarker, UploadIDMarker: idMarker, Prefix: req.Prefix, Delimiter: req.Delimiter,
		EncodingType: encoding, MaxUploads: req.Max, IsTruncated: list.More, CommonPrefixes: list.Prefixes,
	}
	if list.More {
		doc.NextKeyMarker, doc.NextUploadIDMarker = list.Next.Key, list.NextID
	}
	for i := range list.Uploads {
		u := &list.Uploads[i]
		doc.Uploads = append(doc.Uploads, s3xml.Upload{
			Key: u.Key, UploadID: u.UploadID, Initiator: &s.owner, Owner: &s.owner, Initiated: u.Initiated,
			StorageClass:      storageClass(u.Meta.StorageClass),
			ChecksumAlgorithm: u.Checksum.Algorithm.String(), ChecksumType: u.Checksum.Type.String(),
		})
	}
	c.xml(doc)
	return nil
}
