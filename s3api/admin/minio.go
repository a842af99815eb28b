package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/manager"
)

// mcCreateKey makes a key. mc reads the status alone.
func (a *API) mcCreateKey(ctx context.Context, c *call) (any, error) {
	id, err := c.wantQueryKey()
	if err != nil {
		return nil, err
	}
	_, err = a.create(ctx, c, &createBody{KeyID: id})
	return nil, err
}

// mcKeyStatus tries a key: what fails is told in an answer of 200.
func (a *API) mcKeyStatus(ctx context.Context, c *call) (any, error) {
	tried := []byte(`{"MinIO admin API":"KMSKeyStatusHandler"}`)
	id, _ := c.queryKey()
	if id == "" {
		id = a.defaultKey()
		c.keyID = id
		a.makeDefaultKey(ctx, tried)
	}
	doc := struct {
		KeyID      string `json:"key-id"`
		Encryption string `json:"encryption-error,omitempty"`
		Decryption string `json:"decryption-error,omitempty"`
	}{KeyID: id}
	err := a.do(ctx, func(ctx context.Context, s manager.Service) error {
		kek, w, err := s.GenerateKEK(ctx, id, tried)
		if err != nil {
			if k := kms.KindOf(err); k == kms.NotFound || k == kms.Denied {
				return err
			}
			doc.Encryption = err.Error()
			c.failedPartly(err)
			return nil
		}
		defer kek.Wipe()
		c.about(s.Instance(), w.Version)
		again, err := s.Unwrap(ctx, w, tried)
		if err != nil {
			doc.Decryption = err.Error()
			c.failedPartly(err)
			return nil
		}
		defer again.Wipe()
		if !again.Equal(kek) {
			doc.Decryption = "another key came back"
			c.failedPartly(fmt.Errorf("%w: %s", kms.Crypto, doc.Decryption))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// makeDefaultKey makes the key of writes that name none, as the first of them would. What fails, the caller meets again.
func (a *API) makeDefaultKey(ctx context.Context, keyContext []byte) {
	if kek, _, err := a.keys.GenerateKEK(ctx, cipher.ModeSSEKMS, "", keyContext); err == nil {
		kek.Wipe()
	}
}

type mcKey struct {
	CreatedAt string `json:"createdAt"`
	CreatedBy string `json:"createdBy"`
	Name      string `json:"name"`
}

// mcListKeys lists the keys that begin with the pattern, less its asterisk.
func (a *API) mcListKeys(ctx context.Context, c *call) (any, error) {
	prefix := strings.TrimSuffix(c.Query.Get("pattern"), "*")
	keys := []mcKey{}
	err := a.eachKey(ctx, func(k kms.KeyInfo) {
		if k.Fault == nil && strings.HasPrefix(k.ID, prefix) {
			keys = append(keys, mcKey{timeText(k.Created), k.Origin, k.ID})
		}
	})
	return keys, err
}

func (a *API) mcStatus(context.Context, *call) (any, error) {
	s := a.keys.Status()
	if s.State == manager.NotConfigured {
		return nil, kms.NewError("status", "", kms.NotConfigured)
	}
	place, state := placeOf(s), "offline"
	if s.State == manager.Running && (s.Probe.Reachable || s.Probe.At.IsZero()) {
		state = "online"
	}
	type mcState struct {
		Version   string `json:"Version"`
		Latency   int64  `json:"KeyStoreLatency"` // nanoseconds
		Reachable bool   `json:"KeyStoreReachable"`
		Available bool   `json:"KeystoreAvailable"`
		UpTime    int64  `json:"UpTime"` // nanoseconds
	}
	return struct {
		Name      string            `json:"name"`
		Key       string            `json:"default-key-id"`
		Endpoints map[string]string `json:"endpoints"`
		State     mcState           `json:"state"`
	}{
		backendName(s.Type), a.defaultKey(), map[string]string{place: state},
		mcState{a.o.Server.Version, int64(s.Probe.Latency), s.Probe.Reachable, s.Available(), int64(a.uptime())},
	}, nil
}

// placeOf is where the backend is.
func placeOf(s manager.Status) string {
	if v := s.Config.Vault; v != nil {
		return v.Address
	}
	return "127.0.0.1"
}

func (a *API) uptime() time.Duration {
	if a.o.Server.Started.IsZero() {
		return 0
	}
	return a.o.Now().Sub(a.o.Server.Started)
}

func (a *API) mcVersion(context.Context, *call) (any, error) {
	return map[string]string{"version": a.o.Server.Version}, nil
}

// infoDoc is what mc admin info reads of madmin's InfoMessage.
type infoDoc struct {
	Mode         string         `json:"mode"`
	Region       string         `json:"region"`
	DeploymentID string         `json:"deploymentID"`
	Buckets      count          `json:"buckets"`
	Services     infoServices   `json:"services"`
	Backend      infoBackend    `json:"backend"`
	Servers      []infoServer   `json:"servers"`
	Pools        map[string]any `json:"pools"`
}

type count struct {
	Count int `json:"count"`
}

type infoServices struct {
	KMS       kmsStatus   `json:"kms"`
	KMSStatus []kmsStatus `json:"kmsStatus"`
}

type kmsStatus struct {
	Status   string `json:"status"`
	Endpoint string `json:"endpoint"`
}

type infoBackend struct {
	Type    string `json:"backendType"`
	Online  int    `json:"onlineDisks"`
	Offline int    `json:"offlineDisks"`
}

type infoServer struct {
	State    string            `json:"state"`
	Endpoint string            `json:"endpoint"`
	Scheme   string            `json:"scheme"`
	Uptime   int64             `json:"uptime"` // seconds
	Version  string            `json:"version"`
	CommitID string            `json:"commitID"`
	Network  map[string]string `json:"network"`
	Drives   []any             `json:"drives"`
	Pool     int               `json:"poolNumber"`
	Edition  string            `json:"edition"`
}

func (a *API) info(ctx context.Context, _ *call) (any, error) {
	buckets, err := a.o.Engine.ListBuckets(ctx)
	if err != nil {
		return nil, err
	}
	s, server := a.keys.Status(), a.o.Server
	state := kmsStatus{Status: "offline", Endpoint: placeOf(s)}
	if s.State == manager.Running && (s.Probe.Reachable || s.Probe.At.IsZero()) {
		state.Status = "online"
	}
	return infoDoc{
		Mode: "online", Region: server.Region, DeploymentID: server.DeploymentID, Buckets: count{len(buckets)},
		Services: infoServices{state, []kmsStatus{state}}, Backend: infoBackend{Type: "FS", Online: 1},
		Servers: []infoServer{{
			State: "online", Endpoint: server.Endpoint, Scheme: server.Scheme, Uptime: int64(a.uptime() / time.Second), Version: server.Version,
			Network: map[string]string{server.Endpoint: "online"}, Drives: []any{}, Pool: 1, Edition: "Coffer",
		}},
		Pools: map[string]any{},
	}, nil
}
