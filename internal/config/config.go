package config

import (
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"coffer/internal/home"
)

// Config is everything that the process was told, checked and complete.
type Config struct {
	File      string       // the configuration file that was read, "" for none
	Home      home.Options // without Ask
	New       home.Unlock  // the secret of a slot that is added or changed
	Server    Server
	Metastore Metastore
	Log       Log
	Memory    Memory
	KMS       KMS
	Client    Client
	Mount     Mount
	Audit     Audit
	Metrics   Metrics

	// Settings tells what is in force and where it came from, in the order of
	// the documentation.
	Settings []Effective
}

// Server says how objects are served.
type Server struct {
	Listen       string // HOST:PORT
	Region       string
	Domains      []string // lower-case
	TLSCert      string   // path; "" serves without TLS
	TLSKey       string
	DrainTimeout time.Duration

	// TrustedProxies may say by X-Forwarded-Proto that a client came over TLS.
	TrustedProxies []netip.Prefix
}

// Client says which server the administrative commands talk to.
type Client struct {
	Endpoint string // "": the server that these settings start
	CACert   string // path; "" for none besides those of the system
}

// Metrics says where the numbers of the process are served.
type Metrics struct {
	Listen string // HOST:PORT; "": nowhere
	Given  bool   // said by somebody, not the default: an address that is taken is a failure
}

// Local reports whether only this machine can reach the metrics.
func (m Metrics) Local() bool { return isLocal(m.Listen) }

// Local reports whether only this machine can reach the server.
func (s Server) Local() bool { return isLocal(s.Listen) }

func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Metastore says how names are kept.
type Metastore struct {
	MemoryMiB int // for its tables and caches
}

// Format is the form of the log.
type Format string

// The forms of the log.
const (
	FormatAuto Format = "auto" // FormatText on a terminal, else FormatJSON
	FormatText Format = "text"
	FormatJSON Format = "json"
)

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format Format
}

// Logger makes the logger that writes to w.
func (l Log) Logger(w io.Writer, terminal bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == FormatText || l.Format == FormatAuto && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Memory is the soft limit of the memory that the Go runtime manages.
type Memory struct {
	Bytes int64 // 0: no limit
	Given bool  // said by somebody, not the default
}

// Apply sets the limit of this process. The default yields to a limit that the
// runtime has taken from GOMEMLIMIT.
func (m Memory) Apply() {
	if !m.Given && debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	limit := m.Bytes
	if limit == 0 {
		limit = math.MaxInt64
	}
	debug.SetMemoryLimit(limit)
}

// redacted stands for a secret in Settings.
const redacted = "[redacted]"

// Effective is one setting as it is in force.
type Effective struct {
	Name   string
	Value  string // "[redacted]" for a secret
	Origin Origin
}
