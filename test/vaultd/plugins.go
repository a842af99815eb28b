package main

import (
	"maps"
	"slices"

	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// plugins are what the server has built in. It is Vault's BuiltinRegistry.
type plugins struct {
	secrets map[string]logical.Factory
	auth    map[string]logical.Factory
}

func newPlugins() plugins {
	return plugins{
		secrets: map[string]logical.Factory{"transit": transit.Factory, "kv": kv.Factory},
		auth: map[string]logical.Factory{
			"approle": approle.Factory, "kubernetes": kubernetes.Factory, "userpass": userpass.Factory,
		},
	}
}

func (p plugins) of(kind consts.PluginType) map[string]logical.Factory {
	switch kind {
	case consts.PluginTypeSecrets:
		return p.secrets
	case consts.PluginTypeCredential:
		return p.auth
	default:
		return nil
	}
}

// Contains implements BuiltinRegistry.
func (p plugins) Contains(name string, kind consts.PluginType) bool { return p.of(kind)[name] != nil }

// Get implements BuiltinRegistry.
func (p plugins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory := p.of(kind)[name]
	return func() (any, error) { return factory, nil }, factory != nil
}

// Keys implements BuiltinRegistry.
func (p plugins) Keys(kind consts.PluginType) []string {
	return slices.Sorted(maps.Keys(p.of(kind)))
}

// DeprecationStatus implements BuiltinRegistry.
func (p plugins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	if !p.Contains(name, kind) {
		return consts.Unknown, false
	}
	return consts.Supported, true
}

// IsBuiltinEntPlugin implements BuiltinRegistry.
func (plugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
