package object

import (
	"errors"
	"fmt"

	"coffer/kms"
)

// Kind classifies an error of the engine. Front doors translate kinds, never texts.
type Kind uint8

// The kinds. Their names are those of the S3 error codes where S3 has one.
const (
	KindInternal           Kind = iota // a fault of this process or its disk
	KindNoSuchBucket                   // the bucket does not exist
	KindNoSuchKey                      // the key has no current version
	KindNoSuchVersion                  // the version named does not exist
	KindNoSuchUpload                   // the upload does not exist, or was completed or aborted
	KindBucketExists                   // the bucket exists already and belongs to the caller
	KindBucketNotEmpty                 // the bucket still has objects
	KindInvalidBucketName              // see ValidateBucketName
	KindKeyTooLong                     // more than MaxKeyBytes
	KindInvalidArgument                // an argument outside its range
	KindInvalidRequest                 // arguments that contradict each other or the object
	KindInvalidPart                    // a part of a complete request is missing or differs
	KindInvalidPartOrder               // part numbers do not ascend
	KindEntityTooSmall                 // a part other than the last is under MinPartSize
	KindEntityTooLarge                 // over MaxPutSize, MaxPartSize or MaxObjectSize
	KindBadDigest                      // the body does not have the digest that was declared
	KindIncompleteBody                 // the body ended before its declared length, or went on after it
	KindMetadataTooLarge               // user metadata over MaxUserMetadata
	KindPreconditionFailed             // an If-… condition of a write or read does not hold
	KindNotModified                    // an If-None-Match or If-Modified-Since of a read holds
	KindInvalidRange                   // the range lies outside the object
	KindOperationAborted               // another change of the same resource is under way; try again
	KindNoSpace                        // the disk is at its watermark; deletes still work
	KindUnavailable                    // a key backend cannot be reached; try again
	KindKeyDenied                      // a key backend refuses the key
	KindKeyNotFound                    // a key backend has no such key
	KindKeyDisabled                    // the state of the key forbids its use
	KindNoKeyService                   // no key service is configured
	KindCustomerKeyMissing             // the object or upload is SSE-C and no client's key came with the request
	KindCustomerKeyWrong               // the client's key is not the object's
	KindSSECBlocked                    // the bucket refuses SSE-C
	KindCorrupt                        // stored bytes do not authenticate
	KindNoSuchJob                      // the bucket has had no background rewrap
	KindNotImplemented                 // a record asks for something this version does not do
	KindExists                         // the name exists, and must not
	KindNotEmpty                       // the directory has something in it
	KindNotDirectory                   // a file where a directory must be
	KindIsDirectory                    // a directory where a file must be
	KindTooManyLinks                   // the file has as many names as it may have
	KindStale                          // the object that is open was replaced or removed
	KindNoAttribute                    // the extended attribute does not exist
	KindAttributeExists                // the extended attribute exists, and must not
)

var kindNames = [...]string{
	"internal", "no such bucket", "no such key", "no such version", "no such upload", "bucket exists", "bucket not empty",
	"invalid bucket name", "key too long", "invalid argument", "invalid request", "invalid part", "invalid part order",
	"entity too small", "entity too large", "bad digest", "incomplete body", "metadata too large", "precondition failed",
	"not modified", "invalid range", "operation aborted", "no space", "unavailable", "key denied", "key not found", "key disabled",
	"no key service", "customer key missing", "customer key wrong", "SSE-C blocked", "corrupt",
	"no such job", "not implemented", "exists", "not empty", "not a directory", "is a directory", "too many links", "stale",
	"no such attribute", "attribute exists",
}

// String names the kind in lower-case words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Kinds lists every kind, so that translations can be tested for completeness.
func Kinds() []Kind {
	kinds := make([]Kind, len(kindNames))
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// Error is what every method of Store returns. Bucket and Key are set where the operation has them.
type Error struct {
	Op     string // the operation, as in "put"
	Bucket string
	Key    string
	Kind   Kind
	Err    error // the cause, or nil
	// Info is the version that a condition or range was measured against: KindNotModified, KindPreconditionFailed
	// of a read, KindInvalidRange. Else nil.
	Info *ObjectInfo
}

// Error names the operation, its resource, the kind and the cause.
func (e *Error) Error() string {
	s := e.Op
	if e.Bucket != "" {
		s += " " + e.Bucket
		if e.Key != "" {
			s += fmt.Sprintf("/%q", e.Key)
		}
	}
	s += ": " + e.Kind.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KeyServiceCode is the code by which S3 answers the failure of a key service that e comes from, by the one table of
// package kms. It is "" where e comes from something else.
func (e *Error) KeyServiceCode() string {
	switch e.Kind {
	case KindUnavailable, KindKeyDenied, KindKeyNotFound, KindKeyDisabled, KindNoKeyService:
		if k, ok := errors.AsType[*kms.Error](e.Err); ok {
			return k.Kind.Codes().S3.Name
		}
	}
	return ""
}

// KindOf returns the kind of err, KindInternal when err is not an *Error of this package.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return faultKind(err)
}

// fault is an error on its way out: a kind and a cause, before the operation and its resource are known.
type fault struct {
	kind Kind
	err  error
	info *ObjectInfo // see Error.Info
}

func (f *fault) Error() string {
	if f.err == nil {
		return f.kind.String()
	}
	return f.kind.String() + ": " + f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// faultKind returns the kind of an error on its way out; KindInternal when it has none.
func faultKind(err error) Kind {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.kind
	}
	return KindInternal
}

// errKind makes a fault without a cause.
func errKind(k Kind) error { return &fault{kind: k} }

// errKindf makes a fault with a cause in words.
func errKindf(k Kind, format string, args ...any) error {
	return &fault{kind: k, err: fmt.Errorf(format, args...)}
}
