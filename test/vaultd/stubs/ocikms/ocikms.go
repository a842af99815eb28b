// Package ocikms stands in for the wrapper of this name, so that a server for
// tests needs no cloud SDK. It has what Vault refers to, and seals nothing.
package ocikms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Names that Vault looks for. No environment and no configuration holds them.
const (
	EnvOciKmsWrapperCryptoEndpoint       = "vaultd-has-no-ocikms-EnvOciKmsWrapperCryptoEndpoint"
	EnvVaultOciKmsSealCryptoEndpoint     = "vaultd-has-no-ocikms-EnvVaultOciKmsSealCryptoEndpoint"
	EnvOciKmsWrapperKeyId                = "vaultd-has-no-ocikms-EnvOciKmsWrapperKeyId"
	EnvVaultOciKmsSealKeyId              = "vaultd-has-no-ocikms-EnvVaultOciKmsSealKeyId"
	EnvOciKmsWrapperManagementEndpoint   = "vaultd-has-no-ocikms-EnvOciKmsWrapperManagementEndpoint"
	EnvVaultOciKmsSealManagementEndpoint = "vaultd-has-no-ocikms-EnvVaultOciKmsSealManagementEndpoint"
	KmsConfigKeyId                       = "vaultd-has-no-ocikms-KmsConfigKeyId"
	KmsConfigCryptoEndpoint              = "vaultd-has-no-ocikms-KmsConfigCryptoEndpoint"
	KmsConfigManagementEndpoint          = "vaultd-has-no-ocikms-KmsConfigManagementEndpoint"
)

// Wrapper refuses every configuration.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig refuses.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("ocikms: not built into vaultd")
}

// WithDisallowEnvVars does nothing.
func WithDisallowEnvVars(bool) wrapping.Option { return nothing }

// WithLogger does nothing.
func WithLogger(any) wrapping.Option { return nothing }

func nothing() any {
	return wrapping.OptionFunc(func(*wrapping.Options) error { return nil })
}
