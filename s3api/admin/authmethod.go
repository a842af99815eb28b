package admin

import (
	"encoding/json"
	"strings"
	"time"

	"coffer/kms/manager"
)

// The bodies of auth_method. The safety window of today's RustFS is taken and has no use here: tokens are renewed well
// before their end.
type (
	tokenBody struct {
		Token string `json:"token"`
	}
	appRoleBody struct {
		RoleID       string `json:"role_id"`
		SecretID     string `json:"secret_id"`
		SecretIDFile string `json:"secret_id_file"`
		Mount        string `json:"mount"`
		Window       *int64 `json:"refresh_safety_window_secs"`
	}
	kubernetesBody struct {
		Role    string `json:"role"`
		Mount   string `json:"mount"`
		JWTPath string `json:"jwt_path"`
		Window  *int64 `json:"refresh_safety_window_secs"`
	}
	tokenFileBody struct {
		Path   string `json:"path"`
		Poll   *int64 `json:"poll_interval_secs"`
		Window *int64 `json:"refresh_safety_window_secs"`
	}
)

// parse reads {"token":"…"}, {"Token":{"token":"…"}}, {"AppRole":{…}}, {"Kubernetes":{…}} and {"TokenFile":{…}}.
func (m rawMethod) parse() (manager.VaultAuth, error) {
	if len(m) != 1 {
		return manager.VaultAuth{}, invalidConfiguration("auth_method holds one of token, approle, kubernetes and token_file.")
	}
	for name, data := range m {
		switch strings.ReplaceAll(strings.ToLower(name), "_", "") {
		case "token":
			return tokenAuth(data)
		case "approle":
			var b appRoleBody
			err := strict(data, &b)
			return manager.VaultAuth{Method: manager.AuthAppRole, RoleID: b.RoleID, SecretID: secretOf(b.SecretID), SecretIDFile: b.SecretIDFile, Mount: b.Mount}, err
		case "kubernetes":
			var b kubernetesBody
			err := strict(data, &b)
			return manager.VaultAuth{Method: manager.AuthKubernetes, Role: b.Role, JWTFile: b.JWTPath, Mount: b.Mount}, err
		case "tokenfile":
			var b tokenFileBody
			if err := strict(data, &b); err != nil {
				return manager.VaultAuth{}, err
			}
			poll, err := seconds("poll_interval_secs", b.Poll)
			return manager.VaultAuth{Method: manager.AuthTokenFile, TokenFile: b.Path, Poll: time.Duration(poll)}, err
		}
	}
	return manager.VaultAuth{}, invalidConfiguration("There is no such auth_method: token, approle, kubernetes or token_file.")
}

func tokenAuth(data json.RawMessage) (manager.VaultAuth, error) {
	var short string
	if json.Unmarshal(data, &short) == nil {
		return manager.VaultAuth{Method: manager.AuthToken, Token: secretOf(short)}, nil
	}
	var b tokenBody
	err := strict(data, &b)
	return manager.VaultAuth{Method: manager.AuthToken, Token: secretOf(b.Token)}, err
}
