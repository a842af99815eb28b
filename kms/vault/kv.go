package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"coffer/kms"
)

// kvStore keeps records in a KV engine of version 2, which compares the version
// of a record before it replaces it.
type kvStore struct{ b *Backend }

// Place implements StateStore.
func (s *kvStore) Place() string { return s.b.options.KVMount + "/" + s.b.options.KVPrefix }

func (s *kvStore) call(method, part, keyID string) call {
	o := s.b.options
	path := o.KVMount + "/" + part + "/" + o.KVPrefix + "/" + nameOf(keyID)
	return call{method: method, path: path, engine: "KV", admin: true}
}

// usable reports whether the engine is there for this token. It fails when that
// cannot be told now.
func (s *kvStore) usable(ctx context.Context) (bool, error) {
	c := s.b.mountCall(s.b.options.KVMount)
	var found mountAnswer
	err := s.b.do(ctx, c, &found)
	switch kind := kindIn(err); {
	case err == nil:
		return found.Data.Type == "kv" && found.Data.Options["version"] == "2", nil
	case kind == kms.Unavailable || kind == kms.Throttled || kind == kms.BackendFailure:
		return false, err
	case errors.As(err, new(*CallError)):
		return false, nil // not to be had, for whatever reason
	default:
		return false, err
	}
}

// Load implements StateStore.
func (s *kvStore) Load(ctx context.Context, keyID string) ([]byte, uint64, error) {
	c := s.call(http.MethodGet, "data", keyID)
	c.asks = true
	var found struct {
		Data struct {
			Data     json.RawMessage `json:"data"`
			Metadata struct {
				Version uint64 `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	err := s.b.do(ctx, c, &found)
	if kindIn(err) == kms.NotFound {
		return nil, 0, nil
	}
	return found.Data.Data, found.Data.Metadata.Version, err
}

// Save implements StateStore.
func (s *kvStore) Save(ctx context.Context, keyID string, record []byte, revision uint64) error {
	if record == nil {
		return s.b.do(ctx, s.call(http.MethodDelete, "metadata", keyID), &struct{}{})
	}
	err := s.write(ctx, keyID, record, revision)
	if !errors.Is(err, ErrStateConflict) || revision != 0 {
		return err
	}
	// An operator may have deleted the record, which leaves its version.
	deleted, findErr := s.deletedVersion(ctx, keyID)
	if findErr != nil || deleted == 0 {
		return err
	}
	return s.write(ctx, keyID, record, deleted)
}

func (s *kvStore) write(ctx context.Context, keyID string, record []byte, revision uint64) error {
	c := s.call(http.MethodPut, "data", keyID)
	c.once = true
	c.body = map[string]any{
		"options": map[string]any{"cas": revision},
		"data":    json.RawMessage(record),
	}
	err := s.b.do(ctx, c, &struct{}{})
	if failed := new(CallError); errors.As(err, &failed) && failed.says("check-and-set parameter did not match") {
		return ErrStateConflict
	}
	return err
}

// deletedVersion returns the newest version of a record if it is deleted, else 0.
func (s *kvStore) deletedVersion(ctx context.Context, keyID string) (uint64, error) {
	var found struct {
		Data struct {
			Current  uint64 `json:"current_version"`
			Versions map[uint64]struct {
				DeletionTime string `json:"deletion_time"`
				Destroyed    bool   `json:"destroyed"`
			} `json:"versions"`
		} `json:"data"`
	}
	if err := s.b.do(ctx, s.call(http.MethodGet, "metadata", keyID), &found); err != nil {
		return 0, err
	}
	newest := found.Data.Versions[found.Data.Current]
	if newest.DeletionTime == "" && !newest.Destroyed {
		return 0, nil
	}
	return found.Data.Current, nil
}
