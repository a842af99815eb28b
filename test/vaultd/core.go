package main

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// newCore returns a sealed core over the files below dir, or in memory.
func newCore(dir string, log hclog.Logger) (*vault.Core, error) {
	storage, kind, err := newStorage(dir, log)
	if err != nil {
		return nil, err
	}
	p := newPlugins()
	return vault.NewCore(&vault.CoreConfig{
		Physical: storage, StorageType: kind,
		LogicalBackends: p.secrets, CredentialBackends: p.auth, BuiltinRegistry: p,
		AuditBackends: map[string]audit.Factory{"file": audit.NewFileBackend},
		DisableMlock:  true,
		Logger:        log,
	})
}

func newStorage(dir string, log hclog.Logger) (storage physical.Backend, kind string, err error) {
	if dir == "" {
		storage, err = inmem.NewInmem(nil, log)
		return storage, "inmem", err
	}
	storage, err = file.NewFileBackend(map[string]string{"path": dir}, log)
	return storage, "file", err
}

// unsealed is what initialising gave.
type unsealed struct {
	rootToken  string
	unsealKeys []string
}

// openNew initialises a core with one key share and unseals it.
func openNew(core *vault.Core) (unsealed, error) {
	ctx := namespace.RootContext(context.Background())
	made, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return unsealed{}, err
	}
	share := hex.EncodeToString(made.SecretShares[0])
	open, err := core.Unseal(made.SecretShares[0])
	if err == nil && !open {
		err = errors.New("the core stays sealed")
	}
	return unsealed{rootToken: made.RootToken, unsealKeys: []string{share}}, err
}
