package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"

	"coffer/internal/secret"
	"coffer/kms"
)

const (
	// DefaultServiceAccountFile is where a pod finds the token of its account.
	DefaultServiceAccountFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	// DefaultTokenFilePoll is how often a TokenFile is read.
	DefaultTokenFilePoll = 30 * time.Second
)

// maxSecretFile bounds files that hold one token.
const maxSecretFile = 64 << 10

// Auth is how a backend gets its token: one of Token, TokenFile, AppRole and
// Kubernetes.
type Auth interface {
	// Method returns the name of the method: token, token_file, approle or
	// kubernetes.
	Method() string

	faults() []error
	// loginCall names the call of Vault that login makes, for errors.
	loginCall() call
	// login gets a token. What it returns in private must not show in errors.
	login(ctx context.Context, c *connector) (l lease, private []string, err error)
}

// lease is a token and what is known of its life.
type lease struct {
	token     string
	ttl       time.Duration // zero: without an end, or with an unknown one
	renewable bool
	own       bool          // made by a login, so that nobody else uses it
	recheck   time.Duration // not zero: log in again after this time in any case
}

// Token is a token that an operator gave. It is renewed as long as Vault renews
// it, and there is no other one when it ends.
type Token struct{ Token secret.Value }

// Method implements Auth.
func (Token) Method() string { return "token" }

func (a Token) faults() []error {
	if a.Token.IsZero() {
		return []error{errors.New("vault: Token.Token is missing")}
	}
	return nil
}

func (Token) loginCall() call { return call{method: "GET", path: "auth/token/lookup-self"} }

func (a Token) login(ctx context.Context, c *connector) (lease, []string, error) {
	token := string(a.Token.Expose())
	l, err := lookup(ctx, c, token)
	return l, []string{token}, err
}

// lookup asks what is known of a token. A token that may not look itself up is
// taken as it is.
func lookup(ctx context.Context, c *connector, token string) (lease, error) {
	client, err := c.client(token)
	if err != nil {
		return lease{}, err
	}
	l := lease{token: token}
	found, err := client.Auth().Token().LookupSelfWithContext(ctx)
	if answer := new(api.ResponseError); errors.As(err, &answer) && answer.StatusCode == 403 && !saysInvalidToken(answer) {
		return l, nil
	}
	if err != nil {
		return lease{}, err
	}
	if l.ttl, err = found.TokenTTL(); err != nil {
		return lease{}, err
	}
	l.renewable, err = found.TokenIsRenewable()
	return l, err
}

// TokenFile is a token in a file that something else keeps fresh, such as Vault
// Agent. The file is for its owner alone: a mode that lets group or others in is
// refused.
type TokenFile struct {
	Path string
	// Poll is how often the file is read. DefaultTokenFilePoll when zero.
	Poll time.Duration
}

// Method implements Auth.
func (TokenFile) Method() string { return "token_file" }

func (a TokenFile) faults() (errs []error) {
	if a.Path == "" {
		errs = append(errs, errors.New("vault: TokenFile.Path is missing"))
	}
	if a.Poll < 0 {
		errs = append(errs, errors.New("vault: TokenFile.Poll is negative"))
	}
	return errs
}

func (TokenFile) loginCall() call { return call{} }

func (a TokenFile) login(context.Context, *connector) (lease, []string, error) {
	token, err := readSecret(a.Path, 0o077)
	l := lease{token: token, recheck: a.Poll}
	setDefault(&l.recheck, DefaultTokenFilePoll)
	return l, []string{token}, err
}

// AppRole logs in with a role id and a secret id.
type AppRole struct {
	Mount  string // of the login; "approle" when empty
	RoleID string
	// SecretID, or SecretIDFile, which is read at every login and wins.
	SecretID     secret.Value
	SecretIDFile string
}

// Method implements Auth.
func (AppRole) Method() string { return "approle" }

func (a AppRole) faults() (errs []error) {
	if a.RoleID == "" {
		errs = append(errs, errors.New("vault: AppRole.RoleID is missing"))
	}
	if a.SecretID.IsZero() && a.SecretIDFile == "" {
		errs = append(errs, errors.New("vault: AppRole.SecretID and AppRole.SecretIDFile are missing"))
	}
	return append(errs, loginMountFaults("AppRole", a.Mount)...)
}

func (a AppRole) loginCall() call { return loginAt(a.Mount, "approle") }

func (a AppRole) login(ctx context.Context, c *connector) (lease, []string, error) {
	secretID := string(a.SecretID.Expose())
	if a.SecretIDFile != "" {
		var err error
		if secretID, err = readSecret(a.SecretIDFile, 0); err != nil {
			return lease{}, nil, err
		}
	}
	mount := strings.Trim(a.Mount, "/")
	setDefault(&mount, "approle")
	method, err := approle.NewAppRoleAuth(a.RoleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(mount))
	if err != nil {
		return lease{}, []string{secretID}, err
	}
	l, err := logIn(ctx, c, method)
	return l, []string{secretID}, err
}

// Kubernetes logs in with the token of the pod's service account.
type Kubernetes struct {
	Mount string // of the login; "kubernetes" when empty
	Role  string
	// JWTFile is read at every login. DefaultServiceAccountFile when empty.
	JWTFile string
}

// Method implements Auth.
func (Kubernetes) Method() string { return "kubernetes" }

func (a Kubernetes) faults() (errs []error) {
	if a.Role == "" {
		errs = append(errs, errors.New("vault: Kubernetes.Role is missing"))
	}
	return append(errs, loginMountFaults("Kubernetes", a.Mount)...)
}

func (a Kubernetes) loginCall() call { return loginAt(a.Mount, "kubernetes") }

func (a Kubernetes) login(ctx context.Context, c *connector) (lease, []string, error) {
	setDefault(&a.JWTFile, DefaultServiceAccountFile)
	jwt, err := readSecret(a.JWTFile, 0)
	if err != nil {
		return lease{}, nil, err
	}
	mount := strings.Trim(a.Mount, "/")
	setDefault(&mount, "kubernetes")
	method, err := kubernetes.NewKubernetesAuth(a.Role,
		kubernetes.WithServiceAccountToken(jwt), kubernetes.WithMountPath(mount))
	if err != nil {
		return lease{}, []string{jwt}, err
	}
	l, err := logIn(ctx, c, method)
	return l, []string{jwt}, err
}

func loginMountFaults(method, mount string) []error {
	if mount = strings.Trim(mount, "/"); mount != "" && !isPath(mount) {
		return []error{fmt.Errorf("vault: %s.Mount %q is not the path of a mount", method, mount)}
	}
	return nil
}

func loginAt(mount, usual string) call {
	mount = strings.Trim(mount, "/")
	setDefault(&mount, usual)
	return call{method: "PUT", path: "auth/" + mount + "/login"}
}

// logIn runs a login of Vault's library.
func logIn(ctx context.Context, c *connector, method api.AuthMethod) (lease, error) {
	client, err := c.client("")
	if err != nil {
		return lease{}, err
	}
	answer, err := client.Auth().Login(ctx, method)
	if err != nil {
		return lease{}, err
	}
	return lease{
		token: answer.Auth.ClientToken, ttl: time.Duration(answer.Auth.LeaseDuration) * time.Second,
		renewable: answer.Auth.Renewable, own: true,
	}, nil
}

// readSecret reads a file that holds one token. Mode bits in forbidden are
// refused. Every failure has Kind Configuration.
func readSecret(path string, forbidden fs.FileMode) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	if bad := info.Mode().Perm() & forbidden; bad != 0 {
		return "", fmt.Errorf("%w: %s has mode %04o; it must be for its owner alone, as 0600", kms.Configuration, path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return "", fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	defer clear(content)
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("%w: %s is empty", kms.Configuration, path)
	}
	return token, nil
}
