package s3api

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

const maxBuckets = 10_000 // on a page of ListBuckets

func (s *Server) listBuckets(ctx context.Context, c *call) error {
	limit, err := c.intParam("max-buckets", maxBuckets, 1, maxBuckets)
	if err != nil {
		return err
	}
	after, err := base64.RawURLEncoding.DecodeString(c.param("continuation-token"))
	if err != nil {
		return invalidArgument("continuation-token", c.param("continuation-token"), "The continuation token provided is incorrect")
	}
	infos, err := s.store.ListBuckets(ctx)
	if err != nil {
		return err
	}
	doc := &s3xml.ListAllMyBuckets{Owner: s.owner, Prefix: c.param("prefix")}
	if region := c.param("bucket-region"); region != "" && region != s.opts.Region {
		infos = nil
	}
	for _, b := range infos {
		switch {
		case b.Name <= string(after) || !strings.HasPrefix(b.Name, doc.Prefix):
		case len(doc.Buckets) == limit:
			doc.ContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(doc.Buckets[limit-1].Name))
			c.xml(doc)
			return nil
		default:
			doc.Buckets = append(doc.Buckets, s3xml.Bucket{Name: b.Name, CreationDate: b.Created, Region: s.opts.Region})
		}
	}
	c.xml(doc)
	return nil
}

func (s *Server) createBucket(ctx context.Context, c *call) error {
	body, err := c.document(digestOptional, maxConfigDocument)
	if err != nil {
		return err
	}
	config, err := s3xml.ReadCreateBucketConfiguration(body)
	if err != nil {
		return err
	}
	if l := config.LocationConstraint; l != "" && l != s.opts.Region {
		return s3err.New(s3err.InvalidLocationConstraint).With("LocationConstraint", l)
	}
	if _, err := s.store.CreateBucket(ctx, c.bucket); err != nil {
		return err
	}
	c.set("Location", "/"+c.bucket)
	c.empty(200)
	return nil
}

func (s *Server) headBucket(ctx context.Context, c *call) error {
	if _, err := s.store.HeadBucket(ctx, c.bucket); err != nil {
		return err
	}
	c.set("x-amz-bucket-region", s.opts.Region)
	c.set("x-amz-access-point-alias", "false")
	c.empty(200)
	return nil
}

func (s *Server) deleteBucket(ctx context.Context, c *call) error {
	if err := s.store.DeleteBucket(ctx, c.bucket); err != nil {
		return err
	}
	c.empty(204)
	return nil
}

// getLocation answers us-east-1 with an empty element, as S3 does.
func (s *Server) getLocation(ctx context.Context, c *call) error {
	if _, err := s.store.HeadBucket(ctx, c.bucket); err != nil {
		return err
	}
	doc := &s3xml.LocationConstraint{Region: s.opts.Region}
	if doc.Region == defaultRegion {
		doc.Region = ""
	}
	c.xml(doc)
	return nil
}

// intParam reads a number. Above the greatest it counts as that, as in S3; below the least, or not a number, it is
// InvalidArgument.
func (c *call) intParam(name string, otherwise, least, greatest int) (int, error) {
	v := c.param(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	switch {
	case err != nil:
		return 0, invalidArgument(name, v, "Provided %s not an integer or within integer range", name)
	case n < int64(least):
		return 0, invalidArgument(name, v, "Argument %s must be an integer between %d and %d", name, least, 1<<31-1)
	}
	return int(min(n, int64(greatest))), nil
}

// encodingType reads encoding-type, whose one value is url.
func (c *call) encodingType() (string, error) {
	v := c.param("encoding-type")
	if v != "" && v != s3xml.EncodingURL {
		return "", invalidArgument("encoding-type", v, "Invalid Encoding Method specified in Request")
	}
	return v, nil
}
