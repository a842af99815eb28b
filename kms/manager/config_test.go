package manager_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/local"
	"coffer/kms/manager"
	"coffer/kms/static"
)

func value(s string) secret.Value { return secret.New([]byte(s)) }

// validations are configurations and what Validate says of them.
func validations() map[string]validation {
	approle := func(fn func(*manager.VaultAuth)) manager.Config {
		c := vault("https://a")
		c.Vault.Auth = manager.VaultAuth{Method: manager.AuthAppRole, RoleID: "r", SecretID: value(canarySecret)}
		fn(&c.Vault.Auth)
		return c
	}
	with := func(fn func(*manager.Config)) manager.Config {
		c := vault("https://a")
		fn(&c)
		return c
	}
	return map[string]validation{
		"built-in":         {manager.Config{Type: manager.TypeLocal}, nil},
		"vault":            {vault("https://a"), nil},
		"approle":          {approle(func(*manager.VaultAuth) {}), nil},
		"approle, file":    {approle(func(a *manager.VaultAuth) { a.SecretID, a.SecretIDFile = secret.Value{}, "/f" }), nil},
		"kubernetes":       {with(func(c *manager.Config) { c.Vault.Auth = manager.VaultAuth{Method: "kubernetes", Role: "r"} }), nil},
		"token file":       {with(func(c *manager.Config) { c.Vault.Auth = manager.VaultAuth{Method: "token_file", TokenFile: "/f"} }), nil},
		"local":            {manager.Config{Type: "local", Local: manager.Local{KeyDir: "/k", MasterKey: value(canaryMaster)}}, nil},
		"static":           {manager.Config{Type: "static", Static: manager.Static{Key: value("id:x")}}, nil},
		"no type":          {manager.Config{}, kms.Configuration},
		"aws":              {manager.Config{Type: "aws"}, kms.Unsupported},
		"azure":            {manager.Config{Type: "azure"}, kms.Unsupported},
		"gcp":              {manager.Config{Type: "gcp"}, kms.Unsupported},
		"time-out":         {with(func(c *manager.Config) { c.Timeout = -1 }), kms.Configuration},
		"attempts":         {with(func(c *manager.Config) { c.RetryAttempts = -1 }), kms.Configuration},
		"cached keys":      {with(func(c *manager.Config) { c.MaxCachedKeys = -1 }), kms.Configuration},
		"time to live":     {with(func(c *manager.Config) { c.CacheTTL = -1 }), kms.Configuration},
		"default key":      {with(func(c *manager.Config) { c.DefaultKeyID = "a\x00" }), kms.Configuration},
		"no address":       {vault(""), kms.Configuration},
		"half a cert":      {with(func(c *manager.Config) { c.Vault.ClientCertFile = "/f" }), kms.Configuration},
		"password":         {vault("https://u:canary@a"), kms.Configuration},
		"no token":         {with(func(c *manager.Config) { c.Vault.Auth.Token = secret.Value{} }), kms.Configuration},
		"no token file":    {with(func(c *manager.Config) { c.Vault.Auth.Method = "token_file" }), kms.Configuration},
		"no role id":       {approle(func(a *manager.VaultAuth) { a.RoleID = "" }), kms.Configuration},
		"no secret id":     {approle(func(a *manager.VaultAuth) { a.SecretID = secret.Value{} }), kms.Configuration},
		"no role":          {with(func(c *manager.Config) { c.Vault.Auth.Method = "kubernetes" }), kms.Configuration},
		"no such method":   {with(func(c *manager.Config) { c.Vault.Auth.Method = "ldap" }), kms.Configuration},
		"no master key":    {manager.Config{Type: "local", Local: manager.Local{KeyDir: "/k"}}, kms.Configuration},
		"no key directory": {manager.Config{Type: "local", Local: manager.Local{MasterKey: value(canaryMaster)}}, kms.Configuration},
		"relative key dir": {manager.Config{Type: "local", Local: manager.Local{KeyDir: "k", MasterKey: value("m")}}, kms.Configuration},
		"no static key":    {manager.Config{Type: "static"}, kms.Configuration},
	}
}

type validation struct {
	c    manager.Config
	want error
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range validations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.c.Validate()
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "canary") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	both := manager.Config{Type: "vault", Timeout: -1}
	if err := both.Validate(); !strings.Contains(err.Error(), "time-out") || !strings.Contains(err.Error(), "address") {
		t.Errorf("not all faults are told: %v", err)
	}
}

func TestDefaultsAndLimits(t *testing.T) {
	t.Parallel()
	got := vault("https://a").Summary()
	want := manager.Summary{
		Type: "vault", DefaultKeyID: "app-default", Timeout: 30 * time.Second, RetryAttempts: 3,
		EnableCache: true, MaxCachedKeys: 1000, CacheTTL: 300 * time.Second,
		Vault: &manager.VaultSummary{
			Address: "https://a", Mount: "transit", KVMount: "secret", KeyPathPrefix: "rustfs/kms/keys", AuthMethod: "token", HasCredentials: true,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	big := manager.Config{Type: "local", Timeout: time.Hour, RetryAttempts: 99, MaxCachedKeys: 1 << 30, CacheTTL: 1000 * time.Hour}.Summary()
	if big.Timeout != 300*time.Second || big.RetryAttempts != 10 || big.MaxCachedKeys != 1_000_000 || big.CacheTTL != 24*time.Hour {
		t.Errorf("limits: %+v", big)
	}
	if s := (manager.Config{Type: "local"}).Summary(); s.DefaultKeyID != manager.FallbackKeyID {
		t.Errorf("default key %q", s.DefaultKeyID)
	}
	if s := (manager.Config{Type: "static", Static: manager.Static{Key: value("a:b:c2VjcmV0")}}).Summary(); s.DefaultKeyID != "a:b" {
		t.Errorf("default key %q", s.DefaultKeyID)
	}
}

// TestKeepCredentials sends nobody the credentials of another.
func TestKeepCredentials(t *testing.T) {
	t.Parallel()
	bare := func(address, method string) manager.Config {
		c := vault(address)
		c.Vault.Auth = manager.VaultAuth{Method: method}
		return c
	}
	for name, tt := range map[string]struct {
		c, old manager.Config
		kept   bool
		refuse bool
	}{
		"same place":          {bare("https://a", ""), vault("https://a"), true, false},
		"same place, named":   {bare("https://a", "token"), vault("https://a"), true, false},
		"another place":       {bare("https://b", ""), vault("https://a"), false, true},
		"another type":        {bare("https://a", ""), manager.Config{Type: "local"}, false, true},
		"nothing to keep":     {vault("https://b"), vault("https://a"), true, false},
		"another method":      {bare("https://a", "approle"), vault("https://a"), false, false},
		"needs none":          {manager.Config{Type: "local"}, vault("https://a"), false, false},
		"same place by mount": {bare("https://a/", ""), vault("https://a"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.c.KeepCredentials(tt.old)
			if (err != nil) != tt.refuse || !tt.c.Vault.Auth.Token.IsZero() != tt.kept {
				t.Errorf("%v, kept %v", err, !tt.c.Vault.Auth.Token.IsZero())
			}
		})
	}
}

// TestNoSecretIsTold drives every state with secrets in all places, and searches
// everything that a Manager says.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var said strings.Builder
	say := func(v any) {
		fmt.Fprintf(&said, "%v\n%+v\n%#v\n%s\n", v, v, v, v)
		text, _ := json.Marshal(v)
		said.Write(text)
		slog.New(slog.NewJSONHandler(&said, nil)).Info("x", "v", v)
	}
	m := w.open(t)
	approle := vault("https://canary-user:canary-password@nowhere")
	approle.Vault.Auth = manager.VaultAuth{Method: "approle", RoleID: "r", SecretID: value(canarySecret)}
	keys := manager.Config{Type: "local", Local: manager.Local{KeyDir: "/k", MasterKey: value(canaryMaster)}}
	lab := manager.Config{Type: "static", Static: manager.Static{Key: value("id:" + base64.StdEncoding.EncodeToString([]byte("canary")))}}
	role := approle
	role.Vault.Address = "https://a"
	w.options.Factories[manager.TypeLocal] = func(_ context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
		return nil, fmt.Errorf("cannot open with %s", c.Local.MasterKey.Expose())
	}
	w.options.Factories[manager.TypeStatic] = func(_ context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
		return nil, fmt.Errorf("cannot open %s", c.Static.Key.Expose())
	}
	for _, c := range []manager.Config{vault("https://nowhere"), approle, keys, lab, role, vault("https://a")} {
		say(c)
		say(&c)
		say(c.Summary())
		say(m.Configure(t.Context(), c))
		say(m.Start(t.Context(), false))
		say(m.Status())
		s, _ := m.Config()
		say(s)
		say(m.Stop(t.Context()))
	}
	say(m.Keep(t.Context(), "t", vault("https://nowhere")))
	say(m.Targets())
	say(string(w.store.data))
	must(t, m.Close())
	say(m)
	for _, in := range w.sites {
		in.set(fmt.Errorf("bad token %s", canaryToken), nil)
	}
	g := vault("https://a")
	w.options.Given = &g
	m = w.open(t)
	eventually(t, 5*time.Second, func() error {
		if s := m.Status(); s.State != manager.Error || s.Failure == "" {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
	say(m.Status())
	must(t, m.Close())
	all := said.String() + w.log.String()
	for _, bad := range []string{"canary", fmt.Sprintf("%x", "canary"), base64.StdEncoding.EncodeToString([]byte("canary"))} {
		if i := strings.Index(all, bad); i >= 0 {
			t.Errorf("%q was told: …%s…", bad, all[max(0, i-200):min(len(all), i+40)])
		}
	}
}

// TestRealBackends opens a key directory and a static key through a Manager.
func TestRealBackends(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.options.Factories[manager.TypeLocal] = func(ctx context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
		return local.OpenDirectory(ctx, local.DirectoryOptions{
			Path: c.Local.KeyDir, MasterKey: c.Local.MasterKey.Expose(), Cost: local.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1},
		})
	}
	w.options.Factories[manager.TypeStatic] = func(_ context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
		return static.Open(c.Static.Key.Expose())
	}
	keys := manager.Config{Type: "local", Local: manager.Local{KeyDir: t.TempDir(), MasterKey: value(canaryMaster)}}
	lab := manager.Config{Type: "static", Static: manager.Static{
		Key: value("lab:" + base64.StdEncoding.EncodeToString(cipher.NewMasterKey().Expose())),
	}}
	m := w.open(t)
	var all []issued
	for range 2 {
		for _, c := range []manager.Config{keys, lab} {
			must(t, m.Apply(t.Context(), c))
			c.CacheTTL = time.Minute
			must(t, m.Apply(t.Context(), c)) // over the running one
			if s := m.Status(); !s.Healthy() && c.Type == "static" {
				t.Errorf("status %+v", s)
			}
			all = append(all, issue(t, m, cipher.ModeSSEKMS, ""))
		}
	}
	wrong := keys
	wrong.Local.MasterKey = value("another")
	wantKind(t, m.Apply(t.Context(), wrong), kms.Configuration)
	must(t, m.Close())
	m = w.open(t)
	for _, i := range all {
		must(t, i.check(t.Context(), m))
	}
	if n := len(m.Status().Instances); n != 3 || all[0].w.Instance != all[2].w.Instance || all[1].w.Instance != all[3].w.Instance {
		t.Errorf("%d instances", n)
	}
	_, _, err := m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, "another", nil)
	wantKind(t, err, kms.NotFound)
}

func TestFile(t *testing.T) {
	t.Parallel()
	w := newWorld()
	fsys := disktest.NewCrash(disktest.Options{})
	w.options.Store = manager.File{FS: fsys}
	m := w.open(t)
	must(t, m.Apply(t.Context(), vault("https://a")))
	must(t, m.Close())
	data, err := disk.ReadFile(fsys.Crash(), manager.FileName, 1<<20) // durable
	must(t, err)
	if strings.Contains(string(data), "canary") || strings.Contains(string(data), "https") {
		t.Error("the file is not sealed")
	}
	spoil := func(data []byte) error {
		broken := newWorld()
		broken.options.Box, broken.options.Store = w.options.Box, &memory{data: data}
		m, err := manager.New(t.Context(), broken.options)
		if err == nil {
			_ = m.Close()
		}
		return err
	}
	for i := range data {
		changed := append([]byte{}, data...)
		changed[i] ^= 1
		err := spoil(changed)
		want := manager.ErrDamaged
		if i == 4 {
			want = manager.ErrNewer
		}
		if !errors.Is(err, want) || !errors.Is(err, kms.Configuration) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := range len(data) {
		if err := spoil(data[:n]); !errors.Is(err, manager.ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	other := newWorld()
	other.options.Store = &memory{data: data}
	if _, err := manager.New(t.Context(), other.options); !errors.Is(err, manager.ErrDamaged) {
		t.Errorf("of another store: %v", err)
	}
}

// TestGolden reads what the first version of this package wrote.
func TestGolden(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/v1/kms.conf")
	must(t, err)
	w := newWorld()
	raw := make([]byte, cipher.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	key, err := cipher.StoreKeyFromBytes(raw)
	must(t, err)
	w.options.Box = cipher.NewBox(key.Derive(cipher.LabelConfig))
	w.options.Store = &memory{data: data}
	m := w.open(t)
	s := m.Status()
	if s.State != manager.Configured || len(s.Instances) != 2 || s.Instances[1].ID.String() != "000102030405060708090a0b0c0d0e0f" {
		t.Errorf("status %+v", s)
	}
	want := manager.VaultSummary{
		Address: "https://vault.example:8200", Namespace: "ns", Mount: "m", KVMount: "kv", KeyPathPrefix: "p", AuthMethod: "approle",
		HasCredentials: true, SkipTLSVerify: true, PlainHTTP: true, CAFile: "/ca", ClientCertFile: "/cert",
	}
	if diff := cmp.Diff(want, *s.Config.Vault); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	must(t, m.Reconfigure(t.Context(), func(c *manager.Config) error {
		if string(c.Vault.Auth.SecretID.Expose()) != "golden-secret-id" || c.Timeout != time.Second {
			t.Errorf("configuration %+v", c)
		}
		return nil
	}))
	if targets := m.Targets(); targets["spare"].Type != "static" || targets["keys"].Local.KeyDir != "/k" {
		t.Errorf("targets %+v", targets)
	}
}

// TestGoldenDialect reads the first file that had the words in which a configuration was given.
func TestGoldenDialect(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/v1/kms-dialect.conf")
	must(t, err)
	w := newWorld()
	raw := make([]byte, cipher.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	key, err := cipher.StoreKeyFromBytes(raw)
	must(t, err)
	w.options.Box = cipher.NewBox(key.Derive(cipher.LabelConfig))
	w.options.Store = &memory{data: data}
	s, is := w.open(t).Config()
	if !is || s.Dialect != "kms_type" || s.DefaultKeyID != "app-default" || s.Vault.Address != "https://vault.example" {
		t.Errorf("configuration %+v", s)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := manager.New(t.Context(), manager.Options{RequestTimeout: -1, Given: &manager.Config{Type: "aws"}})
	wantKind(t, err, kms.Configuration)
	for _, word := range []string{"Builtin", "BuiltinKeyID", "Store", "Box", "RequestTimeout", "aws"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %s", err, word)
		}
	}
	w := newWorld()
	w.options.Factories = nil
	m := w.open(t)
	wantKind(t, m.Apply(t.Context(), vault("https://a")), kms.Unsupported)
}
