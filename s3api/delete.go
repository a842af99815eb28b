package s3api

import (
	"context"

	"coffer/object"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

func (s *Server) deleteObjects(ctx context.Context, c *call) error {
	body, err := c.document(digestRequired, maxDeleteDocument)
	if err != nil {
		return err
	}
	doc, err := s3xml.ReadDelete(body)
	if err != nil {
		return err
	}
	reqs := make([]object.DeleteRequest, len(doc.Objects))
	for i, o := range doc.Objects {
		if o.LastModifiedTime != "" || o.Size != "" { // of directory buckets
			return s3err.New(s3err.NotImplemented)
		}
		reqs[i] = object.DeleteRequest{Bucket: c.bucket, Key: o.Key, VersionID: o.VersionID, If: object.WriteConditions{IfMatch: o.ETag}}
	}
	if _, err := s.store.HeadBucket(ctx, c.bucket); err != nil {
		return err
	}
	result := &s3xml.DeleteResult{}
	for i, err := range s.store.DeleteMany(ctx, c.bucket, reqs) {
		o := &doc.Objects[i]
		switch {
		case err != nil:
			e := answerOf(err, c)
			result.Errors = append(result.Errors, s3xml.DeleteError{
				Key: o.Key, VersionID: o.VersionID, Code: string(e.Code), Message: e.Text(),
			})
		case !doc.Quiet:
			result.Deleted = append(result.Deleted, s3xml.Deleted{Key: o.Key, VersionID: o.VersionID})
		}
	}
	c.xml(result)
	return nil
}
