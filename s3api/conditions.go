package s3api

import (
	"time"

	"coffer/object"
)

// writeConditions reads the conditions on what is written.
func (c *call) writeConditions() object.WriteConditions {
	return object.WriteConditions{IfMatch: c.get("if-match"), IfNoneMatch: c.get("if-none-match")}
}

// readConditions reads the conditions of a read; prefix is "" or that of a copy's source. A date that is none is
// ignored (RFC 9110 section 13.1.3).
func (c *call) readConditions(prefix string) object.ReadConditions {
	return object.ReadConditions{
		IfMatch:           c.get(prefix + "if-match"),
		IfNoneMatch:       c.get(prefix + "if-none-match"),
		IfModifiedSince:   parseHTTPTime(c.get(prefix + "if-modified-since")),
		IfUnmodifiedSince: parseHTTPTime(c.get(prefix + "if-unmodified-since")),
	}
}

const sourcePrefix = "x-amz-copy-source-"

// parseHTTPTime reads the three forms of RFC 9110 section 5.6.7, and that of S3's documents; zero when it is none.
func parseHTTPTime(v string) time.Time {
	if v == "" {
		return time.Time{}
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123Z, time.RFC850, time.ANSIC, time.RFC3339} {
		if t, err := time.Parse(layout, v); err == nil {
			return t
		}
	}
	return time.Time{}
}
