package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"coffer/object"
)

// errnos is what every kind of error is to a program. A new kind must be entered here.
func errnos() map[object.Kind]syscall.Errno {
	return map[object.Kind]syscall.Errno{
		object.KindInternal:           syscall.EIO,
		object.KindNoSuchBucket:       syscall.ENOENT,
		object.KindNoSuchKey:          syscall.ENOENT,
		object.KindNoSuchVersion:      syscall.ENOENT,
		object.KindNoSuchUpload:       syscall.ENOENT,
		object.KindNoSuchJob:          syscall.ENOENT,
		object.KindBucketExists:       syscall.EEXIST,
		object.KindBucketNotEmpty:     syscall.ENOTEMPTY,
		object.KindInvalidBucketName:  syscall.EINVAL,
		object.KindKeyTooLong:         syscall.ENAMETOOLONG,
		object.KindInvalidArgument:    syscall.EINVAL,
		object.KindInvalidRequest:     syscall.EINVAL,
		object.KindInvalidPart:        syscall.EINVAL,
		object.KindInvalidPartOrder:   syscall.EINVAL,
		object.KindEntityTooSmall:     syscall.EINVAL,
		object.KindEntityTooLarge:     syscall.EFBIG,
		object.KindBadDigest:          syscall.EINVAL,
		object.KindIncompleteBody:     syscall.EINVAL,
		object.KindMetadataTooLarge:   syscall.ENOSPC,
		object.KindPreconditionFailed: syscall.ESTALE,
		object.KindNotModified:        syscall.ESTALE,
		object.KindInvalidRange:       syscall.ENXIO,
		object.KindOperationAborted:   syscall.EAGAIN,
		object.KindNoSpace:            syscall.ENOSPC,
		object.KindUnavailable:        syscall.EIO,
		object.KindKeyDenied:          syscall.EACCES,
		object.KindKeyNotFound:        syscall.EIO,
		object.KindKeyDisabled:        syscall.EIO,
		object.KindNoKeyService:       syscall.EIO,
		object.KindCustomerKeyMissing: syscall.EACCES,
		object.KindCustomerKeyWrong:   syscall.EACCES,
		object.KindSSECBlocked:        syscall.EACCES,
		object.KindCorrupt:            syscall.EIO,
		object.KindNotImplemented:     syscall.EOPNOTSUPP,
		object.KindExists:             syscall.EEXIST,
		object.KindNotEmpty:           syscall.ENOTEMPTY,
		object.KindStale:              syscall.ESTALE,
		object.KindNoAttribute:        syscall.ENODATA,
		object.KindAttributeExists:    syscall.EEXIST,
		object.KindNotDirectory:       syscall.ENOTDIR,
		object.KindIsDirectory:        syscall.EISDIR,
		object.KindTooManyLinks:       syscall.EMLINK,
	}
}

func TestErrnoOfEveryKind(t *testing.T) {
	t.Parallel()
	want := errnos()
	for _, kind := range object.Kinds() {
		errno, ok := want[kind]
		if got := errnoOf(kind); !ok || got != errno {
			t.Errorf("%v: %v, want %v (in the table: %v)", kind, got, errno, ok)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	f := &filesystem{log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		name string
		err  error
		want fuse.Status
	}{
		{"none", nil, fuse.OK},
		{"a number", fmt.Errorf("x: %w", syscall.EXDEV), fuse.EXDEV},
		{"a kind", &object.Error{Kind: object.KindNotEmpty}, fuse.Status(syscall.ENOTEMPTY)},
		{"wrapped", fmt.Errorf("x: %w", &object.Error{Kind: object.KindStale}), fuse.Status(syscall.ESTALE)},
		{"cut off", context.Canceled, fuse.EINTR},
		{"anything else", errors.New("x"), fuse.EIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := f.status(c.err); got != c.want {
				t.Errorf("status = %v, want %v", got, c.want)
			}
		})
	}
}
