package s3api

import (
	"context"
	"encoding/xml"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

func (s *Server) getBucketACL(ctx context.Context, c *call) error {
	return s.bucketSetting(ctx, c, &s3xml.AccessControlPolicy{Owner: s.owner})
}

func (s *Server) getObjectACL(ctx context.Context, c *call) error {
	if err := s.headKey(ctx, c); err != nil {
		return err
	}
	c.xml(&s3xml.AccessControlPolicy{Owner: s.owner})
	return nil
}

func (s *Server) putBucketACL(ctx context.Context, c *call) error {
	if err := s.acceptACL(c); err != nil {
		return err
	}
	_, err := s.store.HeadBucket(ctx, c.bucket)
	return err
}

func (s *Server) putObjectACL(ctx context.Context, c *call) error {
	if err := s.acceptACL(c); err != nil {
		return err
	}
	return s.headKey(ctx, c)
}

// accessControlPolicy is the body of PutBucketAcl and PutObjectAcl, as far as it is looked at.
type accessControlPolicy struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Owner   struct{ ID string }
	Grants  []struct {
		Grantee    struct{ ID, URI, EmailAddress string }
		Permission string
	} `xml:"AccessControlList>Grant"`
}

// acceptACL takes an ACL that says what is so anyway, and refuses every other one. The canned one in a header has been
// checked with the other fields.
func (s *Server) acceptACL(c *call) error {
	body, err := c.document(digestOptional, maxConfigDocument)
	if err != nil {
		return err
	}
	if body.Len() == 0 {
		if c.has("x-amz-acl") {
			return nil
		}
		return s3err.New(s3err.MissingSecurityHeader).With("MissingHeaderName", "x-amz-acl")
	}
	var policy accessControlPolicy
	if err := xml.NewDecoder(body).Decode(&policy); err != nil {
		return s3err.Wrap(s3err.MalformedACLError, err)
	}
	if len(policy.Grants) != 1 || policy.Owner.ID != "" && policy.Owner.ID != s.owner.ID {
		return s3err.New(s3err.AccessControlListNotSupported)
	}
	g := policy.Grants[0]
	if g.Grantee.ID != s.owner.ID || g.Grantee.URI != "" || g.Grantee.EmailAddress != "" || g.Permission != "FULL_CONTROL" {
		return s3err.New(s3err.AccessControlListNotSupported)
	}
	return nil
}
