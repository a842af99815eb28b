// Package azurekeyvault stands in for the wrapper of this name, so that a server for
// tests needs no cloud SDK. It has what Vault refers to, and seals nothing.
package azurekeyvault

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Names that Vault looks for. No environment and no configuration holds them.
const (
	EnvAzureKeyVaultWrapperKeyName   = "vaultd-has-no-azurekeyvault-EnvAzureKeyVaultWrapperKeyName"
	EnvVaultAzureKeyVaultKeyName     = "vaultd-has-no-azurekeyvault-EnvVaultAzureKeyVaultKeyName"
	EnvAzureKeyVaultWrapperVaultName = "vaultd-has-no-azurekeyvault-EnvAzureKeyVaultWrapperVaultName"
	EnvVaultAzureKeyVaultVaultName   = "vaultd-has-no-azurekeyvault-EnvVaultAzureKeyVaultVaultName"
)

// Wrapper refuses every configuration.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig refuses.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("azurekeyvault: not built into vaultd")
}

// WithDisallowEnvVars does nothing.
func WithDisallowEnvVars(bool) wrapping.Option { return nothing }

// WithLogger does nothing.
func WithLogger(any) wrapping.Option { return nothing }

func nothing() any {
	return wrapping.OptionFunc(func(*wrapping.Options) error { return nil })
}
