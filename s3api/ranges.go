package s3api

import (
	"strconv"
	"strings"

	"coffer/object"
)

// parseRange reads a Range field. What S3 does not understand it ignores, and answers with the whole object: units
// other than bytes, several ranges (awslabs/aws-c-s3#257), and everything that is not a range of RFC 9110
// section 14.1.2, a last byte before the first among it.
func parseRange(v string) *object.RangeSpec {
	spec, ok := strings.CutPrefix(v, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return nil
	}
	if first == "" {
		n, ok := parseOffset(last)
		if !ok {
			return nil
		}
		return &object.RangeSpec{First: -1, Last: n}
	}
	from, ok := parseOffset(first)
	if !ok {
		return nil
	}
	if last == "" {
		return &object.RangeSpec{First: from, Last: -1}
	}
	to, ok := parseOffset(last)
	if !ok || to < from {
		return nil
	}
	return &object.RangeSpec{First: from, Last: to}
}

// parseOffset reads digits only. A number beyond 63 bits is as far as one can go.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, true
}

// parseCopyRange reads x-amz-copy-source-range, which must name its first and last byte.
func parseCopyRange(v string) (*object.RangeSpec, error) {
	if v == "" {
		return nil, nil
	}
	r := parseRange(v)
	if r == nil || r.First < 0 || r.Last < 0 {
		return nil, invalidArgument("x-amz-copy-source-range", v, "The x-amz-copy-source-range value must be of the form "+
			"bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return r, nil
}
