package keys

import (
	"encoding/xml"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
)

var rotationObjects = flag.Int("rotation.objects", 12, "objects of each kind that TestFiveRotations puts under each version")

// rotations are how often TestFiveRotations rotates.
const rotations = 5

// TestFiveRotations seals objects at each version of a key, kills the rewrap at random points, and lets it go on. All
// objects read meanwhile; uploads begun at each version end above the floor; nothing is left below the newest version; and
// with the old versions disabled in Vault everything reads still.
func TestFiveRotations(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	mount, token := setUp(t, "app")
	proxy := vaulttest.NewProxy(t, vault)
	s := newSite(t, nil)
	s.useVault(proxy.Address, mount, token, "app")
	s.must(request{method: "PUT", target: "/rotated"})
	r := &rotated{site: s, bodies: map[string]string{}, uploads: map[string]string{}, random: rand.New(rand.NewPCG(seed, 0))}
	for version := range rotations + 1 {
		r.fill(version)
		if version < rotations {
			s.admin("POST", "kms/key/rotate?keyName=app", "")
		}
	}
	const newest = rotations + 1
	if keks, objects, uploads := r.below(newest); keks == 0 || objects == 0 || uploads == 0 {
		t.Fatalf("%v KEKs, %v objects, %v uploads below the newest version", keks, objects, uploads)
	}
	r.rewrapAndKill(proxy)
	s.admin("POST", "kms/keys/retire", `{"key_id":"app"}`)
	r.endUploads()
	if keks, objects, uploads := r.below(newest); keks+objects+uploads != 0 {
		t.Errorf("%v KEKs, %v objects, %v uploads are left below the newest version", keks, objects, uploads)
	}
	if census := s.admin("GET", "kms/census?rebuild=true", ""); census["repaired"] != 0.0 {
		t.Errorf("the kept census was wrong: %v", census)
	}
	eventually(t, recovery, func() error {
		list, _ := s.admin("GET", "kms/retirements?keyName=app", "")["retirements"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["retirable"] != true {
			return fmt.Errorf("retirements %v", list)
		}
		return nil
	})
	vault.Key(t, mount, "app/config", map[string]any{"min_decryption_version": newest, "min_encryption_version": newest})
	s.stop()
	s.serve() // no KEK is kept
	r.readAll()
	r.fill(newest)
	r.readAll()
}

// rotated is a bucket with objects under several versions of a key.
type rotated struct {
	*site
	bodies  map[string]string // by target
	uploads map[string]string // ids, by target
	random  *rand.Rand
}

// fill puts objects of every kind, and begins an upload.
func (r *rotated) fill(version int) {
	r.t.Helper()
	for i := range *rotationObjects {
		for kind, mode := range map[string]fields{
			"plain": nil, "own": kmsMode("app"),
			"shared": with(kmsMode("app"), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"}),
		} {
			target := fmt.Sprintf("/rotated/%s/%d/%d", kind, version, i)
			r.bodies[target] = fmt.Sprintf("%s %d", target, r.random.Uint64())
			r.put(target, r.bodies[target], mode)
		}
	}
	target := fmt.Sprint("/rotated/upload/", version)
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	a := r.must(request{method: "POST", target: target + "?uploads=", header: kmsMode("app")})
	if err := xml.Unmarshal([]byte(a.body), &begun); err != nil || begun.UploadID == "" {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	r.uploads[target] = begun.UploadID
}

// endUploads puts the part of each upload and completes it.
func (r *rotated) endUploads() {
	r.t.Helper()
	for target, id := range r.uploads {
		body := "uploaded to " + target
		part := r.must(request{method: "PUT", target: target + "?partNumber=1&uploadId=" + id, body: body})
		r.must(request{method: "POST", target: target + "?uploadId=" + id, body: `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` +
			part.header.Get("ETag") + `</ETag></Part></CompleteMultipartUpload>`})
		r.bodies[target] = body
	}
}

func (r *rotated) readAll() {
	r.t.Helper()
	for target, body := range r.bodies {
		r.wantBody(target, body)
	}
}

// below sums what the census counts of the key in versions before the given one.
func (r *rotated) below(version float64) (keks, objects, uploads float64) {
	r.t.Helper()
	entries, _ := r.admin("GET", "kms/census?keyName=app", "")["entries"].([]any)
	for _, e := range entries {
		if e := e.(map[string]any); e["version"].(float64) < version {
			keks, objects, uploads = keks+e["keks"].(float64), objects+e["objects"].(float64), uploads+e["uploads"].(float64)
		}
	}
	return keks, objects, uploads
}

// rewrapAndKill starts the rewrap in the background and kills the server under it, until it has ended all the same.
func (r *rotated) rewrapAndKill(proxy *vaulttest.Proxy) {
	r.t.Helper()
	proxy.SetFault(vaulttest.On("/rewrap/", vaulttest.Slow(20*time.Millisecond)))
	defer proxy.SetFault(nil)
	r.admin("POST", "kms/rewrap-jobs", `{"bucket":"rotated","page_size":5}`)
	kills := 0
	for ended := false; !ended; {
		time.Sleep(time.Duration(r.random.IntN(60)) * time.Millisecond)
		for target, body := range r.bodies { // whichever come first
			if r.wantBody(target, body); r.random.IntN(5) == 0 {
				break
			}
		}
		job := r.admin("GET", "kms/rewrap-jobs/rotated", "")
		if ended = job["state"] == "done"; ended {
			if job["failed"] != 0.0 || job["rewrapped"].(float64) < float64(*rotationObjects*rotations) {
				r.t.Errorf("job %v", job)
			}
			break
		}
		if job["state"] != "running" {
			r.t.Fatalf("job %v", job)
		}
		r.daemon.Kill()
		kills++
		r.serve()
	}
	r.t.Logf("killed %d times", kills)
	if kills == 0 {
		r.t.Error("the server was never killed under its rewrap")
	}
	r.readAll()
}
