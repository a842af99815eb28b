package vault_test

import (
	"bytes"
	"context"
	"sync"

	"coffer/kms/vault"
)

// memory is a StateStore.
type memory struct {
	mu      sync.Mutex
	records map[string]memoryRecord
	last    uint64
}

type memoryRecord struct {
	raw      []byte
	revision uint64
}

func newMemory() *memory { return &memory{records: map[string]memoryRecord{}} }

func (m *memory) Place() string { return "memory" }

func (m *memory) Load(ctx context.Context, keyID string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[keyID]
	return bytes.Clone(r.raw), r.revision, ctx.Err()
}

func (m *memory) Save(ctx context.Context, keyID string, record []byte, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.records[keyID].revision != revision:
		return vault.ErrStateConflict
	case record == nil:
		delete(m.records, keyID)
	default:
		m.last++
		m.records[keyID] = memoryRecord{bytes.Clone(record), m.last}
	}
	return nil
}
