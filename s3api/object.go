package s3api

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"coffer/object"
	"coffer/s3api/s3err"
)

func (s *Server) putObject(ctx context.Context, c *call) error {
	meta, err := c.metadata()
	if err != nil {
		return err
	}
	body, digests, err := c.openObject()
	if err != nil {
		return err
	}
	info, err := s.store.Put(ctx, object.PutRequest{
		Bucket: c.bucket, Key: c.key, Body: body, Size: body.size, Meta: meta, Digests: digests, If: c.writeConditions(),
		Sealing: c.sealing, Unproven: !c.ver.Proven(),
	})
	if err != nil {
		return err
	}
	c.setObject(&info)
	c.setChecksum(&info.Checksum)
	c.empty(200)
	return nil
}

func (s *Server) getObject(ctx context.Context, c *call) error {
	req, err := c.getRequest()
	if err != nil {
		return err
	}
	r, err := s.store.Get(ctx, req)
	if err != nil {
		return c.readError(err)
	}
	sel := r.Selection()
	c.setSelection(&req, &sel)
	c.stream = &download{src: r, conn: c.conn, length: sel.Length}
	c.resp.SetBodyStream(c.stream, int(sel.Length))
	return nil
}

func (s *Server) headObject(ctx context.Context, c *call) error {
	req, err := c.getRequest()
	if err != nil {
		return err
	}
	sel, err := s.store.Head(ctx, req)
	if err != nil {
		return c.readError(err)
	}
	c.setSelection(&req, &sel)
	c.resp.SkipBody = true
	c.resp.Header.SetContentLength(int(sel.Length))
	return nil
}

// getRequest reads what a GET or HEAD selects.
func (c *call) getRequest() (object.GetRequest, error) {
	req := object.GetRequest{
		Bucket: c.bucket, Key: c.key, VersionID: c.param("versionId"),
		Range: parseRange(c.get("range")), If: c.readConditions(""), Customer: c.sealing.Customer,
	}
	if err := c.checkOverrides(); err != nil {
		return req, err
	}
	if c.query.Has("versionId") && req.VersionID == "" {
		return req, invalidArgument("versionId", "", "Version id cannot be the empty string")
	}
	if !c.query.Has("partNumber") {
		return req, nil
	}
	n, err := c.partNumber()
	if err != nil {
		return req, err
	}
	if c.has("range") {
		return req, s3err.Newf(s3err.InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	}
	req.PartNumber = n
	return req, nil
}

// partNumber reads the parameter, which must be there.
func (c *call) partNumber() (int, error) {
	v := c.param("partNumber")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > object.MaxParts {
		return 0, invalidArgument("partNumber", v, "Part number must be an integer between 1 and %d, inclusive", object.MaxParts)
	}
	return n, nil
}

// setSelection writes the fields of a GET's or HEAD's answer.
func (c *call) setSelection(req *object.GetRequest, sel *object.Selection) {
	info := &sel.Info
	c.setMetadata(&info.Meta)
	c.setOverrides()
	c.setObject(info)
	c.set("Last-Modified", httpTime(info.ModTime))
	c.set("Accept-Ranges", "bytes")
	if req.PartNumber != 0 && info.Parts != 0 {
		c.set("x-amz-mp-parts-count", strconv.Itoa(info.Parts))
	}
	if c.get("x-amz-checksum-mode") == "ENABLED" {
		c.setChecksum(&sel.Checksum)
	}
	c.resp.SetStatusCode(200)
	if sel.Partial {
		c.resp.SetStatusCode(206)
		if sel.Length > 0 {
			c.set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", sel.Offset, sel.Offset+sel.Length-1, info.Size))
		}
	}
}

// readError adds to an error of a read what S3 tells with it: the validators of a version that was not modified, and
// that it was a part, not a range, that is not there.
func (c *call) readError(err error) error {
	e, ok := errors.AsType[*object.Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Kind == object.KindInvalidRange && c.query.Has("partNumber"):
		return s3err.Wrap(s3err.InvalidPartNumber, err).With("PartNumberRequested", c.param("partNumber"))
	case e.Kind == object.KindInvalidRange && e.Info != nil:
		c.set("Content-Range", fmt.Sprintf("bytes */%d", e.Info.Size))
	case e.Kind == object.KindNotModified && e.Info != nil:
		c.setObject(e.Info)
		c.set("Last-Modified", httpTime(e.Info.ModTime))
		c.set("Cache-Control", e.Info.Meta.CacheControl)
		c.set("Expires", e.Info.Meta.Expires)
	}
	return err
}

func (s *Server) deleteObject(ctx context.Context, c *call) error {
	err := s.store.Delete(ctx, object.DeleteRequest{
		Bucket: c.bucket, Key: c.key, VersionID: c.param("versionId"), If: c.writeConditions(),
	})
	if err != nil {
		return err
	}
	if v := c.param("versionId"); v != "" {
		c.set("x-amz-version-id", v)
	}
	c.empty(204)
	return nil
}
