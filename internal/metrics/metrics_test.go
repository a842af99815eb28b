package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/internal/metrics"
	"coffer/internal/metrics/metricstest"
	"coffer/kms"
	"coffer/kms/audit"
	"coffer/kms/manager"
	"coffer/kms/vault"
	"coffer/object"
	"coffer/object/objecttest"
	"coffer/s3api"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// ask gets the numbers.
func ask(t *testing.T, m *metrics.Metrics) metricstest.Families {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	all, err := metricstest.Read(answer.Body)
	if err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d, %v", answer.Code, err)
	}
	return all
}

// want is a number that must be there.
type want struct {
	name   string
	labels []string
	value  float64
}

func check(t *testing.T, got metricstest.Families, wants []want) {
	t.Helper()
	for _, w := range wants {
		if !got.Has(w.name, w.labels...) || got.Sum(w.name, w.labels...) != w.value {
			t.Errorf("%s%v is %v, want %v", w.name, w.labels, got.Sum(w.name, w.labels...), w.value)
		}
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	sick := &kms.Error{Kind: kms.Unavailable, Err: errors.New("502")}
	for _, tc := range []struct {
		name     string
		err      error
		attempts int
		want     string
	}{
		{"success", nil, 1, "success"},
		{"success at last", nil, 3, "success"},
		{"caller left", kms.NewError("op", "", context.Canceled), 1, "cancelled"},
		{"no time left", kms.NewError("op", "", context.DeadlineExceeded), 2, "deadline_exceeded"},
		{"slow", fmt.Errorf("call: %w", vault.ErrSlow), 1, "deadline_exceeded"},
		{"circuit", &kms.Error{Kind: kms.Unavailable, Err: vault.ErrCircuitOpen}, 1, "circuit_open"},
		{"busy", &kms.Error{Kind: kms.Unavailable, Err: vault.ErrBusy}, 1, "backpressure_timeout"},
		{"sick all along", sick, 3, "budget_exhausted"},
		{"sick once", sick, 1, "fatal"},
		{"denied", kms.Denied, 3, "fatal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := metrics.New(metrics.Options{})
			m.CallBegan("vault")
			check(t, ask(t, m), []want{{"coffer_kms_backend_in_flight", []string{"backend", "vault"}, 1}})
			m.CallEnded(manager.Call{Backend: "vault", Op: "unwrap_kek", Attempts: tc.attempts, Items: 1, Err: tc.err, Took: time.Second})
			labels := []string{"backend", "vault", "operation", "unwrap_kek", "outcome", tc.want}
			check(t, ask(t, m), []want{
				{"coffer_kms_backend_operations_total", append(labels, "op_class", "read_idempotent"), 1},
				{"coffer_kms_backend_operation_duration_seconds", labels, 1},
				{"coffer_kms_backend_operation_attempts", labels, 1},
				{"coffer_kms_backend_in_flight", []string{"backend", "vault"}, 0},
			})
		})
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"no answer", &vault.CallError{Kind: kms.Unavailable}, "retryable_conn"},
		{"an answer", &vault.CallError{Kind: kms.Unavailable, Status: 503}, "retryable_status"},
		{"throttled", &vault.CallError{Kind: kms.Throttled, Status: 429}, "retryable_status"},
		{"denied", &vault.CallError{Kind: kms.Denied, Status: 403}, "fatal"},
		{"slow", vault.ErrSlow, "attempt_timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := metrics.New(metrics.Options{})
			m.AttemptFailed("vault", "unwrap_kek", tc.err)
			m.Auth("login", time.Second, tc.err)
			got := ask(t, m)
			for _, op := range []string{"unwrap_kek", "login"} {
				check(t, got, []want{{"coffer_kms_backend_attempt_failures_total", []string{"backend", "vault", "operation", op, "error_class", tc.want}, 1}})
			}
			check(t, got, []want{{"coffer_kms_backend_operations_total", []string{"operation", "login", "op_class", "auth"}, 1}})
		})
	}
}

func TestProbesAndSweeps(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Options{})
	check(t, ask(t, m), []want{ // they begin at 0
		{"coffer_kms_probe_rounds_total", []string{"result", "failure"}, 0},
		{"coffer_kms_deletion_sweep_keys_total", []string{"outcome", "blocked"}, 0},
	})
	m.Probed(manager.Probe{At: time.Unix(1000, 0), Proven: true})
	m.Probed(manager.Probe{At: time.Unix(2000, 0), Failed: manager.StageDecrypt})
	m.Probed(manager.Probe{At: time.Unix(3000, 0), Failed: manager.StageCompare})
	failed := errors.New("on purpose")
	m.Swept([]manager.Swept{
		{Deletion: true, Destroyed: true}, {Deletion: true, Counts: manager.Counts{KEKs: 1}}, {Deletion: true, Err: failed}, {Deletion: true, Err: failed},
		{Rotated: true}, {Err: failed},
	})
	check(t, ask(t, m), []want{
		{"coffer_kms_probe_rounds_total", []string{"result", "success"}, 1},
		{"coffer_kms_probe_rounds_total", []string{"result", "failure"}, 2},
		{"coffer_kms_probe_failures_total", []string{"failure_kind", "decrypt"}, 1},
		{"coffer_kms_probe_failures_total", []string{"failure_kind", "mismatch"}, 1},
		{"coffer_kms_probe_consecutive_failures", nil, 2},
		{"coffer_kms_probe_last_success_timestamp_seconds", nil, 1000},
		{"coffer_kms_probe_duration_seconds", nil, 3},
		{"coffer_kms_deletion_sweep_keys_total", []string{"outcome", "removed"}, 1},
		{"coffer_kms_deletion_sweep_keys_total", []string{"outcome", "blocked"}, 1},
		{"coffer_kms_deletion_sweep_keys_total", []string{"outcome", "failed"}, 2},
		{"coffer_kms_due_rotations_total", []string{"outcome", "success"}, 1},
		{"coffer_kms_due_rotations_total", []string{"outcome", "failure"}, 1},
	})
}

func TestWork(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Options{})
	m.Work(object.Work{Mode: cipher.ModeSSEKMS, Bytes: 10, Took: time.Second})
	m.Work(object.Work{Mode: cipher.ModeSSEKMS, Bytes: 20, Took: time.Second})
	m.Work(object.Work{Mode: cipher.ModeSSEC, Opened: true, Bytes: 7, Took: 2 * time.Second})
	failure := func(k object.Kind) error { return &object.Error{Op: "open", Kind: k} }
	m.Work(object.Work{Mode: cipher.ModeSSEC, Opened: true, Err: failure(object.KindCustomerKeyWrong)})
	m.Work(object.Work{Mode: cipher.ModeSSES3, Opened: true, Err: failure(object.KindCorrupt)})
	m.Work(object.Work{Opened: true, Err: failure(object.KindCorrupt)})
	m.Work(object.Work{Mode: cipher.ModeSSEKMS, Err: failure(object.KindUnavailable)})
	m.Work(object.Work{Mode: cipher.ModeSSEKMS, Err: failure(object.KindNoSpace)})
	m.Work(object.Work{Mode: cipher.ModeSSEKMS, Err: failure(object.KindInternal)})
	check(t, ask(t, m), []want{
		{"coffer_sse_sealed_bytes_total", []string{"mode", "SSE-KMS"}, 30},
		{"coffer_sse_sealed_bytes_total", []string{"mode", "SSE-S3"}, 0},
		{"coffer_sse_sealing_seconds_total", []string{"mode", "SSE-KMS"}, 2},
		{"coffer_sse_opened_bytes_total", []string{"mode", "SSE-C"}, 7},
		{"coffer_sse_opening_seconds_total", []string{"mode", "SSE-C"}, 2},
		{"coffer_sse_opening_errors_total", []string{"mode", "SSE-C", "cause", "client_key"}, 1},
		{"coffer_sse_opening_errors_total", []string{"mode", "SSE-S3", "cause", "damage"}, 1},
		{"coffer_sse_opening_errors_total", []string{"mode", "unknown", "cause", "damage"}, 1},
		{"coffer_sse_sealing_errors_total", []string{"mode", "SSE-KMS", "cause", "key"}, 1},
		{"coffer_sse_sealing_errors_total", []string{"mode", "SSE-KMS", "cause", "space"}, 1},
		{"coffer_sse_sealing_errors_total", []string{"mode", "SSE-KMS", "cause", "other"}, 1},
	})
}

// keys is a key service that tells what it is made of.
type keys struct {
	status  manager.Status
	surveys []manager.KeySurvey
}

func (k keys) Status() manager.Status          { return k.status }
func (k keys) KeySurveys() []manager.KeySurvey { return k.surveys }

type front struct{}

func (front) Load() s3api.Load { return s3api.Load{Requests: 3, Connections: 4} }

// mounts is a table of mounts.
type mounts struct{}

func (mounts) Load() (mounts, nodes, handles int) { return 6, 7, 8 }

// engine tells of rewraps, and has nothing else to tell.
type engine struct{ jobs []object.RewrapJob }

func (engine) Stats(context.Context) (object.Stats, error)              { return object.Stats{}, nil }
func (e engine) RewrapJobs(context.Context) ([]object.RewrapJob, error) { return e.jobs, nil }

func TestRewraps(t *testing.T) {
	t.Parallel()
	report := func(matched, rewrapped, failed int) object.RewrapReport {
		return object.RewrapReport{Matched: matched, Rewrapped: rewrapped, Failed: failed}
	}
	e := engine{[]object.RewrapJob{
		{State: object.JobRunning, Total: 100, Report: report(10, 5, 1)},
		{State: object.JobRunning, Total: 200, Report: report(20, 6, 2), Waiting: "the backend"},
		{State: object.JobDone, Total: 7, Report: report(7, 7, 0)},
		{State: object.JobFailed, Total: 8, Report: report(3, 2, 1)},
	}}
	m := metrics.New(metrics.Options{})
	m.Read(metrics.Sources{Keys: keys{}, Engine: e, Front: front{}, Mounts: mounts{}, Metastore: func() metrics.Metastore { return metrics.Metastore{} }})
	check(t, ask(t, m), []want{
		{"coffer_kms_rewrap_jobs", []string{"state", "running"}, 2},
		{"coffer_kms_rewrap_jobs", []string{"state", "done"}, 1},
		{"coffer_kms_rewrap_jobs", []string{"state", "paused"}, 0},
		{"coffer_kms_rewrap_jobs", nil, 4},
		{"coffer_kms_rewrap_waiting_jobs", nil, 1},
		{"coffer_kms_rewrap_objects", []string{"part", "total"}, 300},
		{"coffer_kms_rewrap_objects", []string{"part", "seen"}, 30},
		{"coffer_kms_rewrap_objects", []string{"part", "rewrapped"}, 11},
		{"coffer_kms_rewrap_objects", []string{"part", "failed"}, 3},
	})
}

// guard is an audit log on a full disk.
type guard struct{}

func (guard) Status() audit.GuardStatus {
	return audit.GuardStatus{Stats: audit.Stats{Queued: 1, Lines: 2}, Lost: 3, Err: errors.New("the disk is full")}
}

func TestSources(t *testing.T) {
	t.Parallel()
	a, b := cipher.NewInstanceID(), cipher.NewInstanceID()
	vaultOf := func(id cipher.InstanceID, r kms.Report) manager.InstanceStatus {
		return manager.InstanceStatus{ID: id, Open: true, Config: manager.Summary{Type: manager.TypeVault}, Report: r}
	}
	now := time.Now()
	k := keys{
		status: manager.Status{
			State: manager.Running, Probe: manager.Probe{Proven: true},
			Cache: manager.CacheStats{Entries: 1, Hits: 2, Misses: 3, Joined: 4, Evictions: 5, Expired: 6, Cleared: 7},
			Instances: []manager.InstanceStatus{
				{ID: cipher.NewInstanceID(), Builtin: true, Open: true},
				vaultOf(a, kms.Report{Circuit: kms.CircuitHalfOpen, CredentialExpires: now.Add(time.Hour)}),
				vaultOf(b, kms.Report{Circuit: kms.CircuitClosed, NoCredential: true}),
			},
		},
		surveys: []manager.KeySurvey{{
			Instance: a, Backend: manager.TypeVault, Unreadable: 1, Due: 2,
			States: map[kms.State]int{kms.StateEnabled: 3, kms.StatePendingDeletion: 4},
			Oldest: []manager.KeyAge{{KeyID: "old", Since: now.Add(-time.Hour)}, {KeyID: "new", Since: now}},
		}},
	}
	store := objecttest.New().Open(t, nil)
	m := metrics.New(metrics.Options{Version: "v1"})
	m.Read(metrics.Sources{Keys: k, Audit: guard{}, Engine: store, Front: front{}, Mounts: mounts{}, Metastore: func() metrics.Metastore {
		return metrics.Metastore{TableBytes: 1, LogBytes: 2, Transactions: 3, Flushes: 4, Conflicts: 5}
	}})
	got := ask(t, m)
	check(t, got, []want{
		{"coffer_build_info", []string{"version", "v1"}, 1},
		{"coffer_kms_state", []string{"state", "Running"}, 1},
		{"coffer_kms_state", nil, 1},
		{"coffer_kms_healthy", nil, 1},
		{"coffer_kms_metadata_cache_entries", nil, 1},
		{"coffer_audit_healthy", nil, 0},
		{"coffer_audit_waiting_lines", nil, 1},
		{"coffer_audit_lines_total", nil, 2},
		{"coffer_audit_lost_lines_total", nil, 3},
		{"coffer_kms_metadata_cache_lookups_total", []string{"result", "hit"}, 2},
		{"coffer_kms_metadata_cache_lookups_total", []string{"result", "miss"}, 3},
		{"coffer_kms_metadata_cache_joined_total", nil, 4},
		{"coffer_kms_metadata_cache_evictions_total", []string{"cause", "size"}, 5},
		{"coffer_kms_metadata_cache_evictions_total", []string{"cause", "expired"}, 6},
		{"coffer_kms_metadata_cache_evictions_total", []string{"cause", "explicit"}, 7},
		{"coffer_kms_backend_open", []string{"backend", "builtin"}, 1},
		{"coffer_kms_backend_circuit_open", []string{"instance", a.String()}, 1},
		{"coffer_kms_backend_circuit_open", []string{"instance", b.String()}, 0},
		{"coffer_kms_vault_credentials_fail_closed", []string{"instance", a.String()}, 0},
		{"coffer_kms_vault_credentials_fail_closed", []string{"instance", b.String()}, 1},
		{"coffer_kms_vault_token_ttl_seconds", []string{"instance", b.String()}, 0},
		{"coffer_kms_keys", []string{"state", "Enabled"}, 3},
		{"coffer_kms_pending_deletion_keys", nil, 4},
		{"coffer_kms_unreadable_keys", nil, 1},
		{"coffer_kms_rotation_due_keys", nil, 2},
		{"coffer_s3_requests_in_flight", nil, 3},
		{"coffer_s3_connections", nil, 4},
		{"coffer_mounts", nil, 6},
		{"coffer_mount_nodes", nil, 7},
		{"coffer_mount_handles", nil, 8},
		{"coffer_metastore_bytes", []string{"part", "tables"}, 1},
		{"coffer_metastore_flushes_total", nil, 4},
		{"coffer_collector_backlog", nil, 0},
	})
	if ttl := got.Sum("coffer_kms_vault_token_ttl_seconds", "instance", a.String()); ttl <= 0 || ttl > 3600 {
		t.Errorf("the token lives %v s, want an hour", ttl)
	}
	for name, age := range map[string]float64{
		"oldest": got.Sum("coffer_kms_oldest_key_rotation_age_seconds"), "old": got.Sum("coffer_kms_key_rotation_age_seconds", "key_id", "old"),
	} {
		if age < 3600 || age > 3700 {
			t.Errorf("age of %s: %v s, want an hour", name, age)
		}
	}
	if diff := cmp.Diff([]string{"new", "old"}, got.Values("key_id")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestStart asks a server over the network, and stops it.
func TestStart(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	store := env.Open(t, func(o *object.Options) { o.InlineLimit = 10 })
	if _, err := store.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 100_000)
	for _, key := range []string{"a", "b"} {
		_, err := store.Put(t.Context(), object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body))})
		if err != nil {
			t.Fatal(err)
		}
	}
	m := metrics.New(metrics.Options{})
	m.Read(metrics.Sources{Keys: keys{}, Engine: store, Front: front{}, Mounts: mounts{}, Metastore: func() metrics.Metastore { return metrics.Metastore{} }})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := m.Start(ln, env.Chunks)
	defer http.DefaultClient.CloseIdleConnections()
	url := "http://" + ln.Addr().String()
	for {
		got, err := metricstest.Get(t.Context(), url+"/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if got.Has("coffer_store_chunks") {
			check(t, got, []want{{"coffer_store_chunks", nil, 2}})
			if n := got.Sum("coffer_store_chunk_bytes"); n < 200_000 || n > 210_000 {
				t.Errorf("%v bytes of chunks", n)
			}
			break
		}
	}
	answer, err := http.Get(url + "/")
	if err != nil || answer.StatusCode != http.StatusNotFound {
		t.Errorf("GET /: %v, %v", answer, err)
	}
	if err == nil {
		_ = answer.Body.Close()
	}
	if err := service.Close(); err != nil {
		t.Error(err)
	}
	if _, err := metricstest.Get(t.Context(), url+"/metrics"); err == nil {
		t.Error("it answers after Close")
	}
	if err := m.Start(nil, env.Chunks).Close(); err != nil {
		t.Error(err)
	}
}
