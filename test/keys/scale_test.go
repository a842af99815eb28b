package keys

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/secret"
	"coffer/kms/manager"
	kmsvault "coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
	"coffer/object"
	"coffer/object/objecttest"
)

var scaleObjects = flag.Int("scale.objects", 3000, "objects, each with a KEK of its own, that TestRewrapAtScale rewraps")

// scaled is an engine over Badger and files, with its keys in a Vault behind a proxy.
type scaled struct {
	t     *testing.T
	store *object.Store
	keys  *manager.Manager
	proxy *vaulttest.Proxy
}

func newScaled(t *testing.T) *scaled {
	t.Helper()
	mount, token := setUp(t, "app")
	s := &scaled{t: t, proxy: vaulttest.NewProxy(t, vault)}
	d, err := objecttest.OpenDisk(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	s.keys, err = manager.New(t.Context(), manager.Options{
		Builtin: d.Keyring.(manager.Service), BuiltinKeyID: object.DefaultKeyID, ProbeInterval: -1,
		Store: manager.File{FS: disk.NewOS(t.TempDir())}, Box: cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelConfig)),
		Factories: map[string]manager.Factory{manager.TypeVault: func(_ context.Context, c manager.Config, id cipher.InstanceID) (manager.Service, error) {
			return kmsvault.Open(kmsvault.Options{Instance: id, Address: c.Vault.Address, Mount: mount, Auth: kmsvault.Token{Token: c.Vault.Auth.Token}})
		}},
		RequestTimeout: time.Minute, // it is not the latency of a busy machine that is looked at
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.keys.Close() })
	err = s.keys.Apply(t.Context(), manager.Config{Type: manager.TypeVault, DefaultKeyID: "app", Vault: manager.Vault{
		Address: s.proxy.Address, Mount: mount, Auth: manager.VaultAuth{Method: manager.AuthToken, Token: secret.New([]byte(token))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.store = d.Open(t, func(o *object.Options) { o.Keys = s.keys })
	if _, err := s.store.CreateBucket(t.Context(), "large"); err != nil {
		t.Fatal(err)
	}
	return s
}

func scaleBody(i int) []byte { return binary.BigEndian.AppendUint64([]byte("object "), uint64(i)) }

// fill puts n objects from many goroutines.
func (s *scaled) fill(n int) {
	s.t.Helper()
	const writers = 32
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < n && !s.t.Failed(); i += writers {
				body := scaleBody(i)
				_, err := s.store.Put(s.t.Context(), object.PutRequest{
					Bucket: "large", Key: fmt.Sprintf("%07d", i), Body: bytes.NewReader(body), Size: int64(len(body)),
					Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"},
				})
				if err != nil {
					s.t.Errorf("put %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
}

// readUntil reads objects at random until stop is closed, and returns how long each took.
func (s *scaled) readUntil(n int, stop <-chan struct{}) (took []time.Duration) {
	for {
		select {
		case <-stop:
			return took
		default:
		}
		i := rand.IntN(n)
		began := time.Now()
		r, err := s.store.Get(context.Background(), object.GetRequest{Bucket: "large", Key: fmt.Sprintf("%07d", i)})
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
			err = cmp.Or(err, r.Close())
		}
		if err != nil || !bytes.Equal(got, scaleBody(i)) {
			s.t.Errorf("read %d: %q, %v", i, got, err)
			return took
		}
		took = append(took, time.Since(began))
	}
}

// TestRewrapAtScale rewraps many objects in the background while others read, and counts the calls of Vault: at most one for
// 500 KEKs. The figures in bench/results are of 200,000 objects.
func TestRewrapAtScale(t *testing.T) {
	t.Parallel()
	n := *scaleObjects
	s := newScaled(t)
	began := time.Now()
	s.fill(n)
	t.Logf("%d objects put in %v", n, time.Since(began).Round(time.Millisecond))
	if err := s.rotate(); err != nil {
		t.Fatal(err)
	}
	quiet, stop := make(chan []time.Duration, 1), make(chan struct{})
	go func() { quiet <- s.readUntil(n, stop) }()
	time.Sleep(time.Second)
	close(stop)
	logReads(t, "before", <-quiet)

	s.proxy.ResetCalls()
	busy, stop := make(chan []time.Duration, 1), make(chan struct{})
	go func() { busy <- s.readUntil(n, stop) }()
	began = time.Now()
	job := s.rewrap()
	t.Logf("%d objects, %d KEKs rewrapped in %v", job.Report.Rewrapped, job.Report.KEKs, time.Since(began).Round(time.Millisecond))
	close(stop)
	logReads(t, "meanwhile", <-busy)
	calls := s.proxy.Calls("/rewrap/")
	t.Logf("%d calls of transit/rewrap, one for %d KEKs, and %d that ask for the newest version", calls, job.Report.KEKs/max(calls, 1), s.proxy.Calls("/keys/"))
	if job.Report.KEKs != n || job.Report.Rewrapped != n || job.Report.Failed != 0 || calls*500 > n+499 {
		t.Errorf("%d calls; job %+v", calls, job)
	}
	s.compareCensus(n)
}

func (s *scaled) rotate() error {
	return s.keys.Do(s.t.Context(), cipher.InstanceID{}, func(ctx context.Context, v manager.Service) error {
		_, err := v.RotateKey(ctx, "app")
		return err
	})
}

// rewrap runs a job to its end.
func (s *scaled) rewrap() (job object.RewrapJob) {
	s.t.Helper()
	if _, err := s.store.StartRewrap(s.t.Context(), object.RewrapJobRequest{Bucket: "large"}); err != nil {
		s.t.Fatal(err)
	}
	for {
		job, err := s.store.RewrapJob(s.t.Context(), "large")
		if err != nil {
			s.t.Fatal(err)
		}
		if job.State != object.JobRunning {
			return job
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// compareCensus counts the records and compares the census that was kept.
func (s *scaled) compareCensus(n int) {
	s.t.Helper()
	began := time.Now()
	entries, err := s.store.Census(s.t.Context())
	kept := time.Since(began)
	began = time.Now()
	check, checkErr := s.store.CheckCensus(s.t.Context())
	s.t.Logf("census: kept in %v, counted in %v", kept.Round(time.Microsecond), time.Since(began).Round(time.Millisecond))
	if err != nil || checkErr != nil || check.Repaired != 0 || !slices.Equal(entries, check.Entries) {
		s.t.Errorf("kept %+v, %v; counted %+v, %v", entries, err, check, checkErr)
	}
	for _, e := range entries {
		if e.KeyID == "app" && (e.Version != 2 || e.KEKs != int64(n) || e.Objects != int64(n)) {
			s.t.Errorf("census %+v", e)
		}
	}
}

func logReads(t *testing.T, when string, took []time.Duration) {
	t.Helper()
	if len(took) == 0 {
		t.Errorf("nothing was read %s", when)
		return
	}
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(part*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("reads %s: %d, median %v, 99 %% within %v, slowest %v", when, len(took), at(0.5), at(0.99), at(1))
}
