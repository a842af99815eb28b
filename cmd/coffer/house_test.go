package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"coffer/internal/config"
)

const (
	testUser     = "AKIDTEST"
	testPassword = "canary-root-password"
)

// residence is a house that serves on a port of its own, as coffer serve makes it of variables.
type residence struct {
	t      testing.TB
	cfg    *config.Config
	house  *house
	addr   string
	client *http.Client
}

// inhabit serves below a directory until the test ends.
func inhabit(t testing.TB, root string, variables ...string) *residence {
	t.Helper()
	home := filepath.Join(root, "home")
	environ := append([]string{"HOME=" + home, "COFFER_METRICS_LISTEN=off", "COFFER_ROOT_USER=" + testUser, "COFFER_ROOT_PASSWORD=" + testPassword}, variables...)
	cfg, err := config.Load(config.Sources{Environ: environ, UserConfigDir: func() (string, error) { return filepath.Join(home, ".config"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	h, err := build(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	r := &residence{t: t, cfg: cfg, house: h, addr: ln.Addr().String(), client: &http.Client{Transport: transport, Timeout: time.Minute}}
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ln) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := h.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// message is a request before it is signed.
type message struct {
	method, target string
	body           []byte
	header         map[string]string
	secret         string // the right one when empty
	unsigned       bool
	at             time.Time // of signing; now when zero
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *residence) do(m message) reply {
	r.t.Helper()
	path, query, _ := strings.Cut(m.target, "?")
	req, err := http.NewRequest(m.method, "http://"+r.addr+"/", bytes.NewReader(m.body))
	if err != nil {
		r.t.Fatal(err)
	}
	if m.body == nil {
		req.Body = http.NoBody
	}
	req.URL = &url.URL{Scheme: "http", Host: r.addr, Opaque: path, RawQuery: query}
	for name, value := range m.header {
		req.Header.Set(name, value)
	}
	if !m.unsigned {
		sum := sha256.Sum256(m.body)
		hash := hex.EncodeToString(sum[:])
		req.Header.Set("X-Amz-Content-Sha256", hash)
		creds := aws.Credentials{AccessKeyID: testUser, SecretAccessKey: testPassword}
		if m.secret != "" {
			creds.SecretAccessKey = m.secret
		}
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		at := m.at
		if at.IsZero() {
			at = time.Now()
		}
		if err := signer.SignHTTP(context.Background(), creds, req, hash, "s3", "us-east-1", at); err != nil {
			r.t.Fatal(err)
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, data}
}

// must sends a request that has to succeed.
func (r *residence) must(m message) reply {
	r.t.Helper()
	got := r.do(m)
	if got.status/100 != 2 {
		r.t.Fatalf("%s %s: status %d: %s", m.method, m.target, got.status, got.body)
	}
	return got
}

// files gives the bytes of everything in a directory.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = data
	}
	return all
}

// customerFields are those of a client's key; which is "" or "Copy-Source-".
func customerFields(which, key string) map[string]string {
	sum := md5.Sum([]byte(key))
	prefix := "X-Amz-" + which + "Server-Side-Encryption-Customer-"
	return map[string]string{
		prefix + "Algorithm": "AES256", prefix + "Key": base64.StdEncoding.EncodeToString([]byte(key)),
		prefix + "Key-Md5": base64.StdEncoding.EncodeToString(sum[:]),
	}
}
