// Package gcpckms stands in for the wrapper of this name, so that a server for
// tests needs no cloud SDK. It has what Vault refers to, and seals nothing.
package gcpckms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Names that Vault looks for. No environment and no configuration holds them.
const (
	EnvGcpCkmsWrapperCredsPath   = "vaultd-has-no-gcpckms-EnvGcpCkmsWrapperCredsPath"
	EnvGcpCkmsWrapperProject     = "vaultd-has-no-gcpckms-EnvGcpCkmsWrapperProject"
	EnvGcpCkmsWrapperLocation    = "vaultd-has-no-gcpckms-EnvGcpCkmsWrapperLocation"
	EnvVaultGcpCkmsSealCryptoKey = "vaultd-has-no-gcpckms-EnvVaultGcpCkmsSealCryptoKey"
	EnvGcpCkmsWrapperCryptoKey   = "vaultd-has-no-gcpckms-EnvGcpCkmsWrapperCryptoKey"
	EnvGcpCkmsWrapperKeyRing     = "vaultd-has-no-gcpckms-EnvGcpCkmsWrapperKeyRing"
	EnvVaultGcpCkmsSealKeyRing   = "vaultd-has-no-gcpckms-EnvVaultGcpCkmsSealKeyRing"
)

// Wrapper refuses every configuration.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig refuses.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("gcpckms: not built into vaultd")
}

// WithDisallowEnvVars does nothing.
func WithDisallowEnvVars(bool) wrapping.Option { return nothing }

// WithLogger does nothing.
func WithLogger(any) wrapping.Option { return nothing }

func nothing() any {
	return wrapping.OptionFunc(func(*wrapping.Options) error { return nil })
}
