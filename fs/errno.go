package fs

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// errnoOf is the one place where kinds of errors become numbers of errors.
func errnoOf(kind object.Kind) syscall.Errno {
	switch kind {
	case object.KindNoSuchBucket, object.KindNoSuchKey, object.KindNoSuchVersion, object.KindNoSuchUpload,
		object.KindNoSuchJob:
		return syscall.ENOENT
	case object.KindBucketExists, object.KindExists, object.KindAttributeExists:
		return syscall.EEXIST
	case object.KindBucketNotEmpty, object.KindNotEmpty:
		return syscall.ENOTEMPTY
	case object.KindNotDirectory:
		return syscall.ENOTDIR
	case object.KindIsDirectory:
		return syscall.EISDIR
	case object.KindTooManyLinks:
		return syscall.EMLINK
	case object.KindNoAttribute:
		return syscall.ENODATA
	case object.KindStale, object.KindPreconditionFailed, object.KindNotModified:
		return syscall.ESTALE
	case object.KindKeyTooLong:
		return syscall.ENAMETOOLONG
	case object.KindInvalidBucketName, object.KindInvalidArgument, object.KindInvalidRequest, object.KindInvalidPart,
		object.KindInvalidPartOrder, object.KindEntityTooSmall, object.KindBadDigest, object.KindIncompleteBody:
		return syscall.EINVAL
	case object.KindEntityTooLarge:
		return syscall.EFBIG
	case object.KindInvalidRange:
		return syscall.ENXIO
	case object.KindMetadataTooLarge, object.KindNoSpace:
		return syscall.ENOSPC
	case object.KindOperationAborted:
		return syscall.EAGAIN
	case object.KindCustomerKeyMissing, object.KindCustomerKeyWrong, object.KindSSECBlocked, object.KindKeyDenied:
		return syscall.EACCES
	case object.KindNotImplemented:
		return syscall.EOPNOTSUPP
	case object.KindInternal, object.KindUnavailable, object.KindKeyNotFound, object.KindKeyDisabled, object.KindNoKeyService,
		object.KindCorrupt:
		return syscall.EIO
	default:
		return syscall.EIO
	}
}

// status is the answer to the kernel. Faults of the store, which a number tells too little of, go into the log: the
// kernel has no other way to hear of them.
func (f *filesystem) status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fuse.Status(errno)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fuse.EINTR
	}
	errno := errnoOf(object.KindOf(err))
	if errno == syscall.EIO {
		f.log.LogAttrs(context.Background(), slog.LevelError, "the mount could not do what was asked for", slog.Any("error", err))
	}
	return fuse.Status(errno)
}

// missing reports whether err says that a name is not there, or not what it was.
func missing(err error) bool {
	if errors.Is(err, syscall.ESTALE) {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return false
	}
	switch object.KindOf(err) {
	case object.KindNoSuchKey, object.KindNoSuchBucket, object.KindStale:
		return true
	default:
		return false
	}
}
