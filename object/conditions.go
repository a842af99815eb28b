package object

import (
	"strings"
	"time"
)

// check evaluates the conditions of a write against the current version, nil when there is none. A missing object
// under If-Match is KindNoSuchKey, as in S3.
func (c WriteConditions) check(current *record) error {
	if c.IfMatch != "" {
		if current == nil {
			return errKind(KindNoSuchKey)
		}
		if !matchesETag(c.IfMatch, current.ETag) {
			return errKind(KindPreconditionFailed)
		}
	}
	if c.IfNoneMatch != "" && current != nil && matchesETag(c.IfNoneMatch, current.ETag) {
		return errKind(KindPreconditionFailed)
	}
	return nil
}

// check evaluates the conditions of a read in the order of RFC 9110 section 13.2.2. Dates count in whole seconds.
func (c ReadConditions) check(r *record) error {
	modified := time.Unix(0, r.ModTime).Truncate(time.Second)
	switch {
	case c.IfMatch != "":
		if !matchesETag(c.IfMatch, r.ETag) {
			return errKind(KindPreconditionFailed)
		}
	case !c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return errKind(KindPreconditionFailed)
	}
	switch {
	case c.IfNoneMatch != "":
		if matchesETag(c.IfNoneMatch, r.ETag) {
			return errKind(KindNotModified)
		}
	case !c.IfModifiedSince.IsZero() && !modified.After(c.IfModifiedSince):
		return errKind(KindNotModified)
	}
	return nil
}

// checkSource evaluates the conditions on the source of a copy: whichever fails, the answer is KindPreconditionFailed.
func (c ReadConditions) checkSource(r *record) error {
	err := c.check(r)
	if err != nil && faultKind(err) == KindNotModified {
		return errKind(KindPreconditionFailed)
	}
	return err
}

// matchesETag reports whether a list of entity tags, as in If-Match, names etag or is "*".
func matchesETag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || trimETag(tag) == etag {
			return true
		}
	}
	return false
}

// trimETag takes the quotes and the mark of a weak comparison off an entity tag.
func trimETag(tag string) string {
	tag = strings.TrimPrefix(tag, "W/")
	return strings.TrimSuffix(strings.TrimPrefix(tag, `"`), `"`)
}
