package vaulttest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// Kubernetes is a Kubernetes login that was made.
type Kubernetes struct {
	Mount   string
	Role    string
	JWTFile string // of the service account, as a pod sees it
}

// The service account that may log in.
const (
	accountNamespace = "storage"
	accountName      = "coffer"
)

// Kubernetes mounts the Kubernetes login, with a role that gives the policies to
// one service account. The cluster that Vault asks is a stub, which knows this
// account's token and refuses all others.
func (s *Server) Kubernetes(t testing.TB, ttl time.Duration, policies ...string) Kubernetes {
	t.Helper()
	cluster, jwtFile := Cluster(t)
	k := Kubernetes{Mount: name("kubernetes"), Role: "coffer", JWTFile: jwtFile}
	err := s.Root(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), k.Mount, &api.EnableAuthOptions{Type: "kubernetes"})
	if err != nil {
		t.Fatalf("enable Kubernetes: %v", err)
	}
	s.write(t, "auth/"+k.Mount+"/config", map[string]any{
		"kubernetes_host": cluster, "token_reviewer_jwt": "reviewer", "disable_local_ca_jwt": true,
	})
	s.write(t, "auth/"+k.Mount+"/role/"+k.Role, map[string]any{
		"bound_service_account_names": accountName, "bound_service_account_namespaces": accountNamespace,
		"token_policies": policies, "token_ttl": ttl.String(),
	})
	return k
}

// Cluster starts a stub of a Kubernetes cluster, which knows one service account,
// coffer in the namespace storage, and writes that account's token to a file.
func Cluster(t testing.TB) (url, jwtFile string) {
	t.Helper()
	jwt := accountToken(t)
	cluster := httptest.NewServer(tokenReview(jwt))
	t.Cleanup(cluster.Close)
	jwtFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwtFile, []byte(jwt), 0o600); err != nil {
		t.Fatal(err)
	}
	return cluster.URL, jwtFile
}

// accountToken has the shape of a service account's token. Nobody checks its
// signature, since the login knows no key: the cluster decides.
func accountToken(t testing.TB) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	type object = map[string]any
	return part(object{"alg": "RS256", "typ": "JWT"}) + "." + part(object{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:" + accountNamespace + ":" + accountName,
		"iat": time.Now().Add(-time.Minute).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(),
		"exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": object{
			"namespace": accountNamespace, "serviceaccount": object{"name": accountName, "uid": "u-1"},
		},
	}) + "." + base64.RawURLEncoding.EncodeToString([]byte(name("signature")))
}

// tokenReview is the one call of a cluster that the login makes.
func tokenReview(known string) http.Handler {
	type object = map[string]any
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct {
				Token     string   `json:"token"`
				Audiences []string `json:"audiences"`
			} `json:"spec"`
		}
		if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&review) != nil {
			http.Error(w, "not a review", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(object{ // the login sees a client that went away
			"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
			"status": object{
				"authenticated": review.Spec.Token == known, "audiences": review.Spec.Audiences,
				"user": object{"username": "system:serviceaccount:" + accountNamespace + ":" + accountName, "uid": "u-1"},
			},
		})
	})
}
