package s3api

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"coffer/object"
	"coffer/s3api/s3err"
)

// codeOf is the one translation of the engine's kinds.
func codeOf(k object.Kind) (s3err.Code, bool) {
	switch k {
	case object.KindInternal, object.KindCorrupt:
		return s3err.InternalError, true
	case object.KindNoSuchBucket:
		return s3err.NoSuchBucket, true
	case object.KindNoSuchKey:
		return s3err.NoSuchKey, true
	case object.KindNoSuchVersion:
		return s3err.NoSuchVersion, true
	case object.KindNoSuchUpload:
		return s3err.NoSuchUpload, true
	case object.KindBucketExists:
		return s3err.BucketAlreadyOwnedByYou, true
	case object.KindBucketNotEmpty:
		return s3err.BucketNotEmpty, true
	case object.KindInvalidBucketName:
		return s3err.InvalidBucketName, true
	case object.KindKeyTooLong:
		return s3err.KeyTooLongError, true
	case object.KindInvalidArgument:
		return s3err.InvalidArgument, true
	case object.KindInvalidRequest, object.KindNotDirectory, object.KindIsDirectory, object.KindNoAttribute,
		object.KindTooManyLinks:
		return s3err.InvalidRequest, true
	case object.KindInvalidPart:
		return s3err.InvalidPart, true
	case object.KindInvalidPartOrder:
		return s3err.InvalidPartOrder, true
	case object.KindEntityTooSmall:
		return s3err.EntityTooSmall, true
	case object.KindEntityTooLarge:
		return s3err.EntityTooLarge, true
	case object.KindBadDigest:
		return s3err.BadDigest, true
	case object.KindIncompleteBody:
		return s3err.IncompleteBody, true
	case object.KindMetadataTooLarge:
		return s3err.MetadataTooLarge, true
	case object.KindExists, object.KindNotEmpty, object.KindAttributeExists:
		return s3err.InvalidBucketState, true
	case object.KindPreconditionFailed:
		return s3err.PreconditionFailed, true
	case object.KindNotModified:
		return s3err.NotModified, true
	case object.KindInvalidRange:
		return s3err.InvalidRange, true
	case object.KindOperationAborted, object.KindStale:
		return s3err.OperationAborted, true
	case object.KindNoSpace:
		return s3err.InsufficientStorage, true
	case object.KindUnavailable:
		return s3err.KMSUnavailable, true
	case object.KindKeyDenied:
		return s3err.AccessDenied, true
	case object.KindKeyNotFound:
		return s3err.KMSNotFound, true
	case object.KindKeyDisabled:
		return s3err.KMSDisabled, true
	case object.KindNoKeyService, object.KindNotImplemented, object.KindNoSuchJob:
		return s3err.NotImplemented, true
	case object.KindCustomerKeyMissing:
		return s3err.InvalidRequest, true
	case object.KindCustomerKeyWrong, object.KindSSECBlocked:
		return s3err.AccessDenied, true
	}
	return s3err.InternalError, false
}

// answerOf makes an error an answer. An answer of our own anywhere in the chain wins: the engine wraps what a body
// reader says.
func answerOf(err error, c *call) *s3err.Error {
	if e, ok := errors.AsType[*s3err.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*object.Error](err); ok {
		return answerOfEngine(e, c)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	}
	return s3err.From(err)
}

func answerOfEngine(e *object.Error, c *call) *s3err.Error {
	if e.Kind == object.KindInternal && (errors.Is(e, context.DeadlineExceeded) || errors.Is(e, context.Canceled)) {
		return s3err.Wrap(s3err.ServiceUnavailable, e)
	}
	code, _ := codeOf(e.Kind)
	if name := e.KeyServiceCode(); name != "" {
		code = s3err.Code(name)
	}
	answer := s3err.Wrap(code, e)
	switch {
	case tellsCause(e.Kind) && e.Err != nil:
		answer.Message = code.Message() + ": " + e.Err.Error()
	case e.Kind == object.KindCustomerKeyMissing:
		answer.Message = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to " +
			"retrieve the object."
	case e.Kind == object.KindCustomerKeyWrong:
		answer.Message = code.Message() + ": the key is not the one that the object was encrypted with."
	case e.Kind == object.KindSSECBlocked:
		answer.Message = code.Message() + ": the bucket's encryption blocks SSE-C."
	case e.Kind == object.KindNoKeyService:
		answer.Message = "Encryption under a key of a key service was asked for, but none is configured."
	}
	addDetails(answer, e, c)
	return answer
}

// tellsCause says whether the cause is about what the client sent, or what a key service refuses, and not about the inside
// of the store.
func tellsCause(k object.Kind) bool {
	return k == object.KindInvalidArgument || k == object.KindInvalidRequest || k == object.KindKeyDenied
}

// addDetails gives the elements that S3 adds to an error.
func addDetails(a *s3err.Error, e *object.Error, c *call) {
	switch e.Kind {
	case object.KindNoSuchBucket, object.KindBucketExists, object.KindBucketNotEmpty, object.KindInvalidBucketName:
		a.With("BucketName", e.Bucket)
		a.Resource = "/" + e.Bucket
	case object.KindNoSuchKey, object.KindNoSuchVersion:
		a.With("Key", e.Key)
		a.Resource = "/" + e.Bucket + "/" + e.Key
	case object.KindNoSuchUpload:
		a.With("UploadId", c.param("uploadId"))
	case object.KindInvalidRange:
		a.With("RangeRequested", c.get("range"))
		if e.Info != nil {
			a.With("ActualObjectSize", strconv.FormatInt(e.Info.Size, 10))
		}
	case object.KindPreconditionFailed:
		a.With("Condition", failedCondition(c))
	case object.KindMetadataTooLarge:
		a.With("MaxSizeAllowed", strconv.Itoa(object.MaxUserMetadata))
	case object.KindKeyTooLong:
		a.With("Size", strconv.Itoa(len(c.key))).With("MaxSizeAllowed", strconv.Itoa(object.MaxKeyBytes))
	}
}

// failedCondition names the condition that was sent; the first one when there are several.
func failedCondition(c *call) string {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Unmodified-Since", "If-Modified-Since",
		"x-amz-copy-source-If-Match", "x-amz-copy-source-If-None-Match", "x-amz-copy-source-If-Unmodified-Since",
		"x-amz-copy-source-If-Modified-Since"} {
		if c.has(strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

// invalidArgument names the argument at fault, as S3 does.
func invalidArgument(name, value, format string, args ...any) *s3err.Error {
	return s3err.Newf(s3err.InvalidArgument, format, args...).With("ArgumentName", name).With("ArgumentValue", value)
}
