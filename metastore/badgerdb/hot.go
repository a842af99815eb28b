package badgerdb

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// Bounds of the hot items; a value is a record of a few hundred bytes.
const (
	maxHotItems = 1024
	maxHotValue = 4 << 10
)

// hotItems remembers the durable values of keys that were read for update
// lately. Every write into a bucket reads the bucket's record so, and would look
// it up in all memtables and tables, once for the reader and once for the
// committer.
//
// The committer alone changes it: it adds what it has read from the durable
// state, and removes what a merge writes after that is durable and before a
// snapshot can see it. So what is in it is the newest durable version, and a
// snapshot that is not older than that version has it too.
type hotItems struct {
	mu    sync.RWMutex
	items map[string]hotItem
}

type hotItem struct {
	value   []byte
	version uint64
}

func newHotItems() *hotItems { return &hotItems{items: make(map[string]hotItem)} }

// get returns the item of a key as it is at timestamp, if it knows it.
func (h *hotItems) get(key []byte, timestamp uint64) (hotItem, bool) {
	h.mu.RLock()
	item, ok := h.items[string(key)]
	h.mu.RUnlock()
	return item, ok && item.version <= timestamp
}

// add remembers an item of the newest durable state.
func (h *hotItems) add(key []byte, item *badger.Item) error {
	if item.ValueSize() > maxHotValue {
		return nil
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.items) == maxHotItems {
		clear(h.items)
	}
	h.items[string(key)] = hotItem{value: value, version: item.Version()}
	return nil
}

// forget removes what a merge writes.
func (h *hotItems) forget(m *merge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.items) == 0 {
		return
	}
	for _, r := range m.winners {
		for i := range r.batch.Writes {
			delete(h.items, string(r.batch.Writes[i].Key))
		}
	}
}
