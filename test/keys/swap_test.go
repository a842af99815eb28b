package keys

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSwapUnderLoad writes under a Local backend, swaps to Vault and moves the KEKs
// while clients write and read, takes the Local backend away with all of its files,
// and reads everything.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	w := newSwapWorld(t)
	upload := w.begin()
	tags := []string{w.part(upload, 1)}
	stop := w.work()
	w.until(40)
	w.configureVault()
	w.until(80)
	stop()
	w.readAll()
	w.wantError(request{method: "DELETE", target: "/rustfs/admin/v3/kms/instances/" + w.local}, 409, "BackendInUse")

	before := w.heads()
	stop = w.work()
	tags = append(tags, w.part(upload, 2))
	w.move()
	w.until(20)
	stop()
	for target, head := range before {
		if now := w.head(target); now != head {
			t.Errorf("%s was %s and is %s", target, head, now)
		}
	}
	w.complete(upload, tags)
	w.must(request{method: "DELETE", target: "/rustfs/admin/v3/kms/instances/" + w.local})
	if census := toJSON(w.admin("GET", "kms/census", "")); strings.Contains(census, w.local) {
		t.Errorf("the census still knows it: %s", census)
	}
	w.stop()
	if err := os.RemoveAll(w.keyDir); err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.readAll()
}

// swapWorld is a site whose clients know what they have written.
type swapWorld struct {
	*site
	keyDir  string
	local   string // instance id of the Local backend
	mount   string
	token   string
	written atomic.Int64

	mu     sync.Mutex
	bodies map[string]string // by target
}

func newSwapWorld(t *testing.T) *swapWorld {
	t.Helper()
	w := &swapWorld{keyDir: filepath.Join(t.TempDir(), "keys"), bodies: map[string]string{}}
	w.mount, w.token = setUp(t)
	w.site = newSite(t, nil)
	w.admin("POST", "kms/configure", toJSON(map[string]any{
		"backend_type": "local", "key_dir": w.keyDir, "master_key": "a secret over it", "default_key_id": "app-default",
		"allow_insecure_dev_defaults": true, // it lies among temporary files
	}))
	w.admin("POST", "kms/start", "")
	for _, in := range w.admin("GET", "kms/status", "")["instances"].([]any) {
		if in := in.(map[string]any); in["key_dir"] == w.keyDir {
			w.local = in["id"].(string)
		}
	}
	if w.local == "" {
		t.Fatal("there is no Local backend")
	}
	for _, bucket := range []string{"/one", "/two"} {
		w.must(request{method: "PUT", target: bucket})
	}
	return w
}

// configureVault swaps: the service runs, so the new backend replaces the old one.
func (w *swapWorld) configureVault() {
	w.admin("POST", "kms/configure", toJSON(map[string]any{
		"backend_type": "vault", "address": vault.Address, "auth_method": map[string]any{"token": w.token}, "mount_path": w.mount,
		"default_key_id": "app-default",
	}))
}

// work has clients write and read until stop is called. None of their requests may
// fail.
func (w *swapWorld) work() (stop func()) {
	w.t.Helper()
	ended := make(chan struct{})
	var wg sync.WaitGroup
	for client := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), uint64(w.written.Load())))
			for !w.t.Failed() {
				select {
				case <-ended:
					return
				default:
					w.turn(random)
				}
			}
		})
	}
	return func() {
		close(ended)
		wg.Wait()
		if w.t.Failed() {
			w.t.FailNow()
		}
	}
}

// turn writes an object, in some mode and size, and reads one.
func (w *swapWorld) turn(random *rand.Rand) {
	modes := []fields{nil, kmsMode(""), kmsMode("app-default"), with(kmsMode(""), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"})}
	target := fmt.Sprintf("/%s/%d", []string{"one", "two"}[random.IntN(2)], random.Int64())
	body := strings.Repeat(target, 1+random.IntN(3)*random.IntN(10_000))
	a := w.do(context.Background(), request{method: "PUT", target: target, body: body, header: modes[random.IntN(len(modes))]})
	if a.err != nil || a.status != 200 {
		w.t.Errorf("PUT %s: %v", target, a)
		return
	}
	w.mu.Lock()
	w.bodies[target] = body
	var other, want string
	for other, want = range w.bodies { // some one
		break
	}
	w.mu.Unlock()
	w.written.Add(1)
	if a := w.do(context.Background(), request{method: "GET", target: other}); a.err != nil || a.body != want {
		w.t.Errorf("GET %s: %v", other, a)
	}
}

// until waits for so many more objects.
func (w *swapWorld) until(more int64) {
	w.t.Helper()
	end := w.written.Load() + more
	eventually(w.t, time.Minute, func() error {
		if n := w.written.Load(); n < end && !w.t.Failed() {
			return fmt.Errorf("%d objects of %d", n, end)
		}
		return nil
	})
}

// readAll reads everything, with no KEK in memory.
func (w *swapWorld) readAll() {
	w.t.Helper()
	w.clearCache()
	for target, body := range w.bodies {
		w.wantBody(target, body)
	}
}

// head is what must not change when KEKs move.
func (w *swapWorld) head(target string) string {
	w.t.Helper()
	a := w.must(request{method: "HEAD", target: target})
	return fmt.Sprint(a.header.Get("Etag"), a.header.Get("Last-Modified"), a.header.Get("Content-Length"),
		a.header.Get("x-amz-server-side-encryption"), a.header.Get("x-amz-version-id"))
}

func (w *swapWorld) heads() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for target := range w.bodies {
		all[target] = w.head(target)
	}
	return all
}

// move brings what the Local backend has wrapped to the one that serves, in the
// background, and waits for the end.
func (w *swapWorld) move() {
	w.t.Helper()
	w.admin("POST", "kms/rewrap-jobs", toJSON(map[string]any{
		"all_buckets": true, "from": map[string]any{"backend": w.local}, "to": map[string]any{"backend": "serving"},
	}))
	eventually(w.t, time.Minute, func() error {
		for _, job := range w.admin("GET", "kms/rewrap-jobs", "")["jobs"].([]any) {
			job := job.(map[string]any)
			if job["state"] != "done" || job["failed"] != 0.0 {
				return fmt.Errorf("job %v", job)
			}
		}
		return nil
	})
}

const uploadTarget = "/one/upload"

// begin begins an upload under the Local backend.
func (w *swapWorld) begin() (id string) {
	w.t.Helper()
	a := w.must(request{method: "POST", target: uploadTarget + "?uploads=", header: kmsMode("")})
	_, rest, _ := strings.Cut(a.body, "<UploadId>")
	id, _, _ = strings.Cut(rest, "</UploadId>")
	return id
}

func partBody(number int) string { return strings.Repeat(fmt.Sprintf("part %d ", number), 5<<20/7+1) }

func (w *swapWorld) part(id string, number int) (tag string) {
	w.t.Helper()
	a := w.must(request{method: "PUT", target: fmt.Sprintf("%s?partNumber=%d&uploadId=%s", uploadTarget, number, id), body: partBody(number)})
	return a.header.Get("Etag")
}

// complete ends the upload, once its KEK has moved.
func (w *swapWorld) complete(id string, tags []string) {
	w.t.Helper()
	var parts, body strings.Builder
	for i, tag := range tags {
		fmt.Fprintf(&parts, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, tag)
		body.WriteString(partBody(i + 1))
	}
	w.must(request{method: "POST", target: uploadTarget + "?uploadId=" + id, body: "<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"})
	w.bodies[uploadTarget] = body.String()
}
