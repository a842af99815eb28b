package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"text/template"

	"coffer/fs"
	"coffer/internal/config"
	"coffer/internal/home"
)

// banner is what serve prints when it is ready.
type banner struct {
	Endpoint string
	Region   string
	User     string
	Password string      // only when it was made at this start
	Kept     string      // file that holds the credentials; "" when they were given
	CA       string      // certificate that clients must trust
	Mounts   []fs.Target // what is mounted
}

const bannerText = `
Coffer serves S3 at {{.Endpoint}} (region {{.Region}})

  user      {{.User}}
{{- if .Password}}
  password  {{.Password}}
            made at this start and shown this once; it is kept in
            {{.Kept}}
{{- else if .Kept}}
  password  in {{.Kept}}
{{- else}}
  password  as it was given
{{- end}}
{{- range .Mounts}}
  mounted   {{if .Bucket}}{{.Bucket}}/{{.Prefix}}{{else}}all buckets{{end}} on {{quote .Dir}}
{{- end}}

To try it, in another terminal:

{{if .Kept}}  export AWS_SHARED_CREDENTIALS_FILE={{quote .Kept}}
{{else}}  export AWS_ACCESS_KEY_ID={{quote .User}} AWS_SECRET_ACCESS_KEY=…
{{end}}  export AWS_DEFAULT_REGION={{.Region}}{{if .CA}} AWS_CA_BUNDLE={{quote .CA}}{{end}}

  aws --endpoint-url {{.Endpoint}} s3 mb s3://first
  echo hello | aws --endpoint-url {{.Endpoint}} s3 cp - s3://first/hello.txt
  aws --endpoint-url {{.Endpoint}} s3 ls s3://first

`

func newBanner(cfg *config.Config, h *home.Home, mounts []fs.Target, addr net.Addr) banner {
	_, port, _ := net.SplitHostPort(addr.String()) // of a listener
	b := banner{Endpoint: endpoint(cfg.Server, port), Region: cfg.Server.Region, User: h.Root.User, CA: cfg.Server.TLSCert, Mounts: mounts}
	if h.RootFrom != home.CredentialsGiven {
		b.Kept = h.Places.Credentials()
	}
	if h.RootFrom == home.CredentialsMade {
		b.Password = string(h.Root.Password.Expose())
	}
	return b
}

func printBanner(w io.Writer, b banner) error {
	t, err := template.New("banner").Funcs(template.FuncMap{"quote": quote}).Parse(bannerText)
	if err != nil {
		return err
	}
	return t.Execute(w, b)
}

// endpoint is the URL by which this machine reaches the server: with the host
// as it was written, and the port that was taken.
func endpoint(cfg config.Server, port string) string {
	host, _, _ := net.SplitHostPort(cfg.Listen) // was checked
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if cfg.TLSCert != "" {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, port))
}

// quote makes one word of a shell of s.
func quote(s string) string {
	safe := func(r rune) bool {
		return strings.ContainsRune("-_./+@:=,", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if s != "" && strings.TrimFunc(s, safe) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
