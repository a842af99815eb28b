package object

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"coffer/metastore"
)

const (
	inodeBlock = 1 << 16 // numbers taken by one transaction
	firstInode = 2       // 1 is the root of a mount
)

// inodes hands out inode numbers, never one twice. Its lock is held across the transaction that takes the next block,
// which everybody else has to wait for.
type inodes struct {
	db *metastore.DB

	mu         sync.Mutex
	next, last uint64
}

func (i *inodes) take(ctx context.Context) (uint64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.next == i.last {
		if err := i.takeBlock(ctx); err != nil {
			return 0, err
		}
	}
	i.next++
	return i.next - 1, nil
}

func (i *inodes) takeBlock(ctx context.Context) error {
	var first uint64
	err := i.db.Update(ctx, func(tx *metastore.Tx) error {
		first = firstInode
		value, err := tx.GetForUpdate(keyInodes)
		switch {
		case errors.Is(err, metastore.ErrNotFound):
		case err != nil:
			return err
		case len(value) != 8:
			return errKindf(KindCorrupt, "inode counter of %d bytes", len(value))
		default:
			first = binary.BigEndian.Uint64(value)
		}
		return tx.Put(keyInodes, binary.BigEndian.AppendUint64(nil, first+inodeBlock))
	})
	if err != nil {
		return err
	}
	i.next, i.last = first, first+inodeBlock
	return nil
}
