package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
	"coffer/internal/config"
	"coffer/internal/home"
)

// clientFlags are what every command takes that talks to a server.
type clientFlags struct {
	config.ClientFlags
	config.RootFlags
	config.ConfigFlags
	JSON bool              `name:"json" help:"Print the answer of the server, as JSON."`
	Note map[string]string `placeholder:"NAME=VALUE" help:"Pair that the audit log keeps of what is asked for; up to 8."`
}

// remote is the server that a command talks to.
type remote struct {
	*adminclient.Client
	user string
	json bool
	out  io.Writer
}

// connect finds the server and the credentials. It calls nobody yet.
func (f clientFlags) connect(kctx *kong.Context, std streams) (*remote, *config.Config, error) {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return nil, nil, err
	}
	root, err := home.ReadCredentials(cfg.Home.Places, cfg.Home.Root)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no credentials: there is no %s, which the first start of the server makes; else set %s and %s",
			cfg.Home.Places.Credentials(), config.Variable("root-user"), config.Variable("root-password"))
	}
	if err != nil {
		return nil, nil, err
	}
	o := adminclient.Options{AccessKey: root.User, SecretKey: root.Password, UserAgent: "coffer/" + version(), Audit: f.Note}
	if o.Endpoint, o.TLS, err = serverOf(cfg); err != nil {
		return nil, nil, err
	}
	client, err := adminclient.New(o)
	if err != nil {
		return nil, nil, err
	}
	return &remote{Client: client, user: root.User, json: f.JSON, out: std.out}, cfg, nil
}

// serverOf is the endpoint that was named, else that of the server which the same settings start.
func serverOf(cfg *config.Config) (string, *tls.Config, error) {
	where, trusted := cfg.Client.Endpoint, []string{cfg.Client.CACert}
	if where == "" {
		_, port, _ := net.SplitHostPort(cfg.Server.Listen) // was checked
		if port == "0" {
			return "", nil, fmt.Errorf("the server takes a free port (listen is %s), so name it by --endpoint or %s", cfg.Server.Listen, config.Variable("endpoint"))
		}
		where, trusted = endpoint(cfg.Server, port), append(trusted, cfg.Server.TLSCert)
	}
	pool, err := trust(trusted)
	if pool == nil {
		return where, nil, err
	}
	return where, &tls.Config{RootCAs: pool}, err
}

// trust adds the certificates of files to those of the system; nil where there is nothing to add.
func trust(files []string) (*x509.CertPool, error) {
	var pool *x509.CertPool
	for _, name := range files {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if pool == nil {
			if pool, err = x509.SystemCertPool(); err != nil {
				return nil, err
			}
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", name)
		}
	}
	return pool, nil
}

// ask is one call of a server.
type ask[T any] func(ctx context.Context, r *remote) (adminclient.Answer[T], error)

// administer connects, calls, and shows the answer: as it came, or as show tells it to people.
func administer[T any](f clientFlags, kctx *kong.Context, std streams, call ask[T], show func(w io.Writer, doc *T)) error {
	r, _, err := f.connect(kctx, std)
	if err != nil {
		return err
	}
	defer r.Close()
	answer, err := call(context.Background(), r)
	if err != nil {
		return r.explain(err)
	}
	return display(r, answer, show)
}

// display shows an answer.
func display[T any](r *remote, answer adminclient.Answer[T], show func(w io.Writer, doc *T)) error {
	if r.json {
		_, err := fmt.Fprintf(r.out, "%s\n", strings.TrimSpace(string(answer.Raw)))
		return err
	}
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	show(w, &answer.Doc)
	return w.Flush()
}

// explain says what a person can do about an error.
func (r *remote) explain(err error) error {
	refused, isRefused := errors.AsType[*adminclient.Error](err)
	_, isUntrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, isUnreachable := errors.AsType[*adminclient.UnreachableError](err)
	switch {
	case isUntrusted:
		return fmt.Errorf("%w; name the certificate that it is checked by with --ca-cert or %s", err, config.Variable("ca-cert"))
	case isUnreachable:
		return fmt.Errorf("%w; start it with coffer serve, or name another one with --endpoint or %s", err, config.Variable("endpoint"))
	case isRefused && refused.Use != nil:
		return fmt.Errorf("%w (%s)", err, countsOf(refused.Use))
	case isRefused && (strings.HasPrefix(refused.Description, "InvalidAccessKeyId") || strings.HasPrefix(refused.Description, "SignatureDoesNotMatch")):
		return fmt.Errorf("%w; these are the credentials of user %s: give others with %s and %s",
			err, r.user, config.Variable("root-user"), config.Variable("root-password"))
	default:
		return err
	}
}

// countsOf tells what depends on a key or backend.
func countsOf(u *adminclient.Use) string {
	s := fmt.Sprintf("%s, %s, %s", plural(u.Objects, "object"), plural(u.KEKs, "KEK"), plural(u.Uploads, "upload"))
	if u.Open > 0 {
		s += fmt.Sprintf(", %d open", u.Open)
	}
	if len(u.Buckets) > 0 {
		s += ", default encryption of " + strings.Join(u.Buckets, ", ")
	}
	return s
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// orDash keeps an empty cell of a table visible.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
