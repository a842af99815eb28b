package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/kms"
	"coffer/kms/audit"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/s3api"
)

// Keys is what a *manager.Manager tells.
type Keys interface {
	Status() manager.Status
	KeySurveys() []manager.KeySurvey
}

// Engine is what an *object.Store tells.
type Engine interface {
	Stats(ctx context.Context) (object.Stats, error)
	RewrapJobs(ctx context.Context) ([]object.RewrapJob, error)
}

// Front is what an *s3api.Server tells.
type Front interface {
	Load() s3api.Load
}

// Mounts is what a *fs.Table tells.
type Mounts interface {
	Load() (mounts, nodes, handles int)
}

// Audit is what an *audit.Guard tells.
type Audit interface {
	Status() audit.GuardStatus
}

// Metastore is what the metastore tells.
type Metastore struct {
	TableBytes, LogBytes             int64
	Transactions, Flushes, Conflicts uint64
}

// Sources are asked whenever the numbers are. All of them are required but Audit,
// which is nil where nothing is recorded.
type Sources struct {
	Keys      Keys
	Audit     Audit
	Engine    Engine
	Front     Front
	Mounts    Mounts
	Metastore func() Metastore
}

// Read has the numbers of the sources among the others from now on. It is called
// once.
func (m *Metrics) Read(s Sources) {
	m.registry.MustRegister(&reader{Sources: s, chunks: &m.chunks, now: time.Now})
}

// reader is a prometheus.Collector of what the sources tell.
type reader struct {
	Sources
	chunks *chunkCount
	now    func() time.Time
}

// Describe implements prometheus.Collector. It describes nothing, so that
// families may be missing where there is nothing to tell.
func (r *reader) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r *reader) Collect(to chan<- prometheus.Metric) {
	e := emitter{to}
	r.service(e)
	r.surveys(e)
	r.record(e)
	r.store(e)
	load := r.Front.Load()
	e.gauge("s3_requests_in_flight", "Requests being served.", float64(load.Requests))
	e.gauge("s3_connections", "Open connections.", float64(load.Connections))
	mounts, nodes, handles := r.Mounts.Load()
	e.gauge("mounts", "Mounts that are served.", float64(mounts))
	e.gauge("mount_nodes", "Files and directories that the kernel knows.", float64(nodes))
	e.gauge("mount_handles", "Files and directories that are open.", float64(handles))
}

// emitter sends numbers. Labels are pairs of name and value.
type emitter struct{ to chan<- prometheus.Metric }

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	e.send(prometheus.GaugeValue, name, help, value, labels)
}

func (e emitter) counter(name, help string, value float64, labels ...string) {
	e.send(prometheus.CounterValue, name, help, value, labels)
}

func (e emitter) send(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	e.to <- prometheus.MustNewConstMetric(prometheus.NewDesc(namespace+"_"+name, help, names, nil), kind, value, values...)
}

// invalid says why numbers are missing.
func (e emitter) invalid(name string, err error) {
	e.to <- prometheus.NewInvalidMetric(prometheus.NewDesc(namespace+"_"+name, "", nil, nil), err)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// service is how the key service fares.
func (r *reader) service(e emitter) {
	s := r.Keys.Status()
	for _, state := range []manager.State{manager.NotConfigured, manager.Configured, manager.Running, manager.Error} {
		e.gauge("kms_state", "1 for the state that the key service is in.", truth(s.State == state), "state", string(state))
	}
	e.gauge("kms_healthy", "1 if the key service runs and its last probe succeeded.", truth(s.Healthy()))
	e.gauge("kms_metadata_cache_entries", "KEKs that are kept.", float64(s.Cache.Entries))
	const lookups, evictions = "KEKs that were looked for among those kept.", "KEKs that are not kept any more."
	e.counter("kms_metadata_cache_lookups_total", lookups, float64(s.Cache.Hits), "result", "hit")
	e.counter("kms_metadata_cache_lookups_total", lookups, float64(s.Cache.Misses), "result", "miss")
	e.counter("kms_metadata_cache_joined_total", "Misses that waited for the call of another.", float64(s.Cache.Joined))
	e.counter("kms_metadata_cache_evictions_total", evictions, float64(s.Cache.Evictions), "cause", "size")
	e.counter("kms_metadata_cache_evictions_total", evictions, float64(s.Cache.Expired), "cause", "expired")
	e.counter("kms_metadata_cache_evictions_total", evictions, float64(s.Cache.Cleared), "cause", "explicit")
	for _, in := range s.Instances {
		id, backend := in.ID.String(), in.Backend()
		e.gauge("kms_backend_open", "1 if the backend is there.", truth(in.Open), "backend", backend, "instance", id)
		if in.Open && in.Report.Circuit != kms.CircuitNone {
			open := in.Report.Circuit == kms.CircuitOpen || in.Report.Circuit == kms.CircuitHalfOpen
			e.gauge("kms_backend_circuit_open", "1 while the circuit breaker stops calls.", truth(open), "backend", backend, "instance", id)
		}
		if in.Open && backend == manager.TypeVault {
			r.token(e, id, in.Report)
		}
	}
}

// token is how long Vault's token lives. One without an end has no such number.
func (r *reader) token(e emitter, id string, report kms.Report) {
	e.gauge("kms_vault_credentials_fail_closed", "1 while there is no token, so that every call fails.", truth(report.NoCredential), "instance", id)
	if ends := report.CredentialExpires; !ends.IsZero() || report.NoCredential {
		left := max(0, ends.Sub(r.now()).Seconds())
		e.gauge("kms_vault_token_ttl_seconds", "Time until the token ends.", left, "instance", id)
	}
}

// surveys is what was last found out about keys.
func (r *reader) surveys(e emitter) {
	all := r.Keys.KeySurveys()
	if len(all) == 0 {
		return
	}
	pending, oldest := 0, 0.0
	for _, s := range all {
		id := s.Instance.String()
		for _, state := range []kms.State{kms.StateEnabled, kms.StateDisabled, kms.StatePendingDeletion} {
			e.gauge("kms_keys", "Keys, by state.", float64(s.States[state]), "backend", s.Backend, "instance", id, "state", state.String())
		}
		e.gauge("kms_unreadable_keys", "Keys that cannot be described.", float64(s.Unreadable), "backend", s.Backend, "instance", id)
		e.gauge("kms_rotation_due_keys", "Keys older than the maximum age set for them.", float64(s.Due), "backend", s.Backend, "instance", id)
		pending += s.States[kms.StatePendingDeletion]
		for _, k := range s.Oldest {
			age := max(0, r.now().Sub(k.Since).Seconds())
			oldest = max(oldest, age)
			e.gauge("kms_key_rotation_age_seconds", "Age of the newest version of a key; of the 100 oldest.", age,
				"backend", s.Backend, "instance", id, "key_id", k.KeyID)
		}
	}
	e.gauge("kms_pending_deletion_keys", "Keys that wait for their deletion.", float64(pending))
	e.gauge("kms_oldest_key_rotation_age_seconds", "Age of the newest version of the key where it is oldest.", oldest)
}

// rewraps is how far rewraps in the background have come, all together: their buckets have names.
func (r *reader) rewraps(ctx context.Context, e emitter) {
	jobs, err := r.Engine.RewrapJobs(ctx)
	if err != nil {
		e.invalid("kms_rewrap", err)
		return
	}
	states := map[object.JobState]int{}
	waiting := 0
	var total, seen, done, failed float64
	for _, j := range jobs {
		states[j.State]++
		if j.State != object.JobRunning {
			continue
		}
		if j.Waiting != "" {
			waiting++
		}
		total, seen = total+float64(j.Total), seen+float64(j.Report.Matched)
		done, failed = done+float64(j.Report.Rewrapped), failed+float64(j.Report.Failed)
	}
	for _, s := range []object.JobState{object.JobRunning, object.JobPaused, object.JobCancelled, object.JobDone, object.JobFailed} {
		e.gauge("kms_rewrap_jobs", "Buckets whose last rewrap in the background is in a state.", float64(states[s]), "state", s.String())
	}
	const objects = "Objects of rewraps that run."
	e.gauge("kms_rewrap_waiting_jobs", "Rewraps that run and wait for a backend.", float64(waiting))
	e.gauge("kms_rewrap_objects", objects, total, "part", "total")
	e.gauge("kms_rewrap_objects", objects, seen, "part", "seen")
	e.gauge("kms_rewrap_objects", objects, done, "part", "rewrapped")
	e.gauge("kms_rewrap_objects", objects, failed, "part", "failed")
}

// record is how the audit log fares.
func (r *reader) record(e emitter) {
	if r.Audit == nil {
		return
	}
	s := r.Audit.Status()
	e.gauge("audit_healthy", "1 while the audit log can be written.", truth(s.Err == nil))
	e.gauge("audit_waiting_lines", "Lines that wait to be written.", float64(s.Queued))
	e.counter("audit_lines_total", "Lines that were written.", float64(s.Lines))
	e.counter("audit_lost_lines_total", "Lines that could not be written, where the server serves on all the same.", float64(s.Lost))
}

// store is how much is stored, and what is left to do.
func (r *reader) store(e emitter) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout/2)
	defer cancel()
	r.rewraps(ctx, e)
	s, err := r.Engine.Stats(ctx)
	if err != nil {
		e.invalid("store", err)
		return
	}
	e.gauge("store_free_bytes", "Room on the disk.", float64(s.Free))
	e.gauge("store_total_bytes", "Size of the disk.", float64(s.Total))
	e.gauge("store_promised_bytes", "Bytes of bodies that were let in and are not written yet.", float64(s.Promised))
	e.gauge("store_pinned_bodies", "Bodies of objects that are being read.", float64(s.Pinned))
	e.gauge("collector_backlog", "Removals that wait; at most 10,000 are counted.", float64(s.Removals))
	e.counter("collector_removals_total", "Removals that were carried out.", float64(s.Collected))
	e.counter("collector_failures_total", "Rounds of the collector that failed.", float64(s.Failures))
	meta := r.Metastore()
	const size = "Bytes of the metastore's files."
	e.gauge("metastore_bytes", size, float64(meta.TableBytes), "part", "tables")
	e.gauge("metastore_bytes", size, float64(meta.LogBytes), "part", "log")
	e.counter("metastore_transactions_total", "Transactions that were committed.", float64(meta.Transactions))
	e.counter("metastore_flushes_total", "Flushes to disk, each for all transactions that waited.", float64(meta.Flushes))
	e.counter("metastore_conflicts_total", "Transactions that were done again, because another one was first.", float64(meta.Conflicts))
	if n, bytes, at := r.chunks.read(); !at.IsZero() {
		e.gauge("store_chunks", "Chunk files, when they were last counted.", float64(n))
		e.gauge("store_chunk_bytes", "Bytes of chunk files, when they were last counted.", float64(bytes))
		e.gauge("store_counted_timestamp_seconds", "When the chunk files were last counted, in seconds since 1970.", float64(at.Unix()))
	}
}
