package s3api

import (
	"context"
	"slices"

	"coffer/object"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

// getEncryption answers SSE-S3 where nothing was set, as S3 does since every object is encrypted there.
func (s *Server) getEncryption(ctx context.Context, c *call) error {
	e, _, err := s.store.BucketEncryption(ctx, c.bucket)
	if err != nil {
		return err
	}
	doc := &s3xml.ServerSideEncryptionConfiguration{Rule: s3xml.EncryptionRule{
		SSEAlgorithm: "AES256", KMSMasterKeyID: e.KeyID, BucketKeyEnabled: e.BucketKey,
	}}
	if e.Mode == object.ModeSSEKMS {
		doc.Rule.SSEAlgorithm = "aws:kms"
	}
	if e.BlockSSEC {
		doc.Rule.BlockedEncryptionTypes = []string{"SSE-C"}
	}
	c.xml(doc)
	return nil
}

func (s *Server) putEncryption(ctx context.Context, c *call) error {
	body, err := c.document(digestOptional, maxConfigDocument)
	if err != nil {
		return err
	}
	doc, err := s3xml.ReadServerSideEncryptionConfiguration(body)
	if err != nil {
		return err
	}
	e, err := bucketEncryption(&doc.Rule)
	if err != nil {
		return err
	}
	if err := s.store.SetBucketEncryption(ctx, c.bucket, e); err != nil {
		return err
	}
	c.empty(200)
	return nil
}

// bucketEncryption is what a rule asks for. Without an algorithm it is SSE-S3, whose KEK is the bucket's whatever the
// rule says of it.
func bucketEncryption(r *s3xml.EncryptionRule) (object.BucketEncryption, error) {
	e := object.BucketEncryption{Mode: object.ModeSSES3, BlockSSEC: slices.Contains(r.BlockedEncryptionTypes, "SSE-C")}
	if r.SSEAlgorithm == "" || r.SSEAlgorithm == "AES256" {
		if r.KMSMasterKeyID != "" {
			return e, s3err.Newf(s3err.InvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms").
				With("ArgumentName", "KMSMasterKeyID")
		}
		return e, nil
	}
	var err error
	e.Mode, e.BucketKey = object.ModeSSEKMS, r.BucketKeyEnabled
	e.KeyID, err = parseKeyID("KMSMasterKeyID", r.KMSMasterKeyID)
	return e, err
}

func (s *Server) deleteEncryption(ctx context.Context, c *call) error {
	if err := s.store.SetBucketEncryption(ctx, c.bucket, object.BucketEncryption{}); err != nil {
		return err
	}
	c.empty(204)
	return nil
}
