package s3api

import (
	"context"

	"coffer/object"
	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

// notSet serves the settings of a bucket for which S3 has an error that says "never set".
func notSet(code s3err.Code) func(*Server, context.Context, *call) error {
	return func(s *Server, ctx context.Context, c *call) error {
		if _, err := s.store.HeadBucket(ctx, c.bucket); err != nil {
			return err
		}
		return s3err.New(code).With("BucketName", c.bucket)
	}
}

// notSetOnObject is notSet for what objects have.
func notSetOnObject(code s3err.Code) func(*Server, context.Context, *call) error {
	return func(s *Server, ctx context.Context, c *call) error {
		if err := s.headKey(ctx, c); err != nil {
			return err
		}
		return s3err.New(code).With("Key", c.key)
	}
}

// headKey looks whether the object exists that a sub-resource belongs to. That its key is missing says that it does.
func (s *Server) headKey(ctx context.Context, c *call) error {
	_, err := s.store.Head(ctx, object.GetRequest{Bucket: c.bucket, Key: c.key, VersionID: c.param("versionId")})
	if object.KindOf(err) == object.KindCustomerKeyMissing {
		return nil
	}
	return err
}

// bucketSetting answers with a document that is the same for every bucket.
func (s *Server) bucketSetting(ctx context.Context, c *call, doc s3xml.Document) error {
	if _, err := s.store.HeadBucket(ctx, c.bucket); err != nil {
		return err
	}
	c.xml(doc)
	return nil
}

func (s *Server) getVersioning(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, &s3xml.VersioningConfiguration{})
}

func (s *Server) getRequestPayment(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, &s3xml.RequestPaymentConfiguration{Payer: "BucketOwner"})
}

func (s *Server) getLogging(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, s3xml.BucketLoggingStatus)
}

func (s *Server) getNotification(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, s3xml.NotificationConfiguration)
}

func (s *Server) getAccelerate(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, s3xml.AccelerateConfiguration)
}

func (s *Server) getObjectTagging(ctx context.Context, c *call) error {
	if err := s.headKey(ctx, c); err != nil {
		return err
	}
	c.xml(&s3xml.Tagging{})
	return nil
}
