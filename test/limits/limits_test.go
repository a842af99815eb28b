package limits

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sys/unix"

	"coffer/test/e2e/daemon"
)

var (
	streamSize  = flag.Int64("limits.size", 24<<20, "bytes of each of TestMemory's objects")
	streamCount = flag.Int("limits.streams", 32, "uploads, and downloads, that TestMemory runs at once")
)

const mib = 1 << 20

// maxAnonymous is what the server may hold of anonymous memory, in bytes.
const maxAnonymous = 300 * mib

// server is a running server and the requests of these tests.
type server struct {
	*daemon.Daemon
	client  *s3.Client
	presign *s3.PresignClient
	log     *bytes.Buffer
}

func start(t *testing.T, dir string) *server {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "coffer")
	build := exec.Command("go", "build", "-o", binary, "coffer/cmd/coffer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s := &server{log: &bytes.Buffer{}}
	var err error
	if s.Daemon, err = daemon.Start(t.Context(), daemon.Options{Binary: binary, Dir: dir, Log: s.log}); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("%v\n%s", err, s.log)
		}
	})
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	s.client, s.presign = client, s3.NewPresignClient(client)
	return s
}

// body is an endless stream that differs by seed.
func body(seed int) io.Reader {
	return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
}

func (s *server) put(ctx context.Context, seed int, size int64) (int, error) {
	signed, err := s.presign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: key(seed)})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, io.LimitReader(body(seed), size))
	if err != nil {
		return 0, err
	}
	req.ContentLength = size
	return s.do(req, nil)
}

// get compares an object with what put stored.
func (s *server) get(ctx context.Context, seed int, size int64) (int, error) {
	signed, err := s.presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key(seed)})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, nil)
	if err != nil {
		return 0, err
	}
	return s.do(req, func(r io.Reader) error { return same(r, body(seed), size) })
}

func (s *server) remove(ctx context.Context, seed int) (int, error) {
	signed, err := s.presign.PresignDeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: key(seed)})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, nil)
	if err != nil {
		return 0, err
	}
	return s.do(req, nil)
}

// copyOntoItself changes the metadata of an object, which writes to the metastore alone.
func (s *server) copyOntoItself(ctx context.Context, seed int) (int, error) {
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: aws.String("bucket"), Key: key(seed), CopySource: aws.String("bucket/" + *key(seed)),
		MetadataDirective: types.MetadataDirectiveReplace, CacheControl: aws.String("no-cache"),
	}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode(), nil
	}
	return http.StatusOK, err
}

func anyOf(stored map[int]int64) int {
	for seed := range stored {
		return seed
	}
	return 0
}

func key(seed int) *string { return aws.String(fmt.Sprintf("object/%d", seed)) }

// do sends a request and returns its status; check reads the body of a 200.
func (s *server) do(req *http.Request, check func(io.Reader) error) (int, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK && check != nil {
		return res.StatusCode, check(res.Body)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// same reports whether r has exactly the first size bytes of want.
func same(r, want io.Reader, size int64) error {
	got, expect := make([]byte, 64<<10), make([]byte, 64<<10)
	for size > 0 {
		n := min(size, int64(len(got)))
		if _, err := io.ReadFull(r, got[:n]); err != nil {
			return err
		}
		if _, err := io.ReadFull(want, expect[:n]); err != nil {
			return err
		}
		if !bytes.Equal(got[:n], expect[:n]) {
			return fmt.Errorf("the object differs %d bytes before its end", size)
		}
		size -= n
	}
	if n, err := r.Read(got); n > 0 || err != io.EOF {
		return fmt.Errorf("the object goes on: %w", err)
	}
	return nil
}

// TestFullDisk fills a small file system. Writes are refused with 507 while the process lives and serves; deletes make
// room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1500m"); err != nil {
		if os.Getenv("CI") == "" && os.Getuid() != 0 {
			t.Skipf("mounting a small file system needs root: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := start(t, dir)
	sizes := []int64{100, 20_000, 300_000, 9 * mib}
	stored := map[int]int64{}
	var mu sync.Mutex
	refused := 0
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			mine := 0
			for i := 0; i < 4000 && mine < 60; i++ {
				seed, size := w*100_000+i, sizes[(i+w)%len(sizes)]
				status, err := s.put(t.Context(), seed, size)
				if err != nil {
					t.Errorf("put of %d bytes: %v", size, err)
					return
				}
				mu.Lock()
				switch status {
				case http.StatusOK:
					stored[seed] = size
				case http.StatusInsufficientStorage:
					refused++
					mine++
				default:
					t.Errorf("put of %d bytes: status %d", size, status)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	t.Logf("%d objects stored, %d writes refused", len(stored), refused)
	if refused == 0 {
		t.Fatal("the disk never was full")
	}
	if status, err := s.copyOntoItself(t.Context(), anyOf(stored)); err != nil || status != http.StatusInsufficientStorage {
		t.Errorf("copying on a full disk: %d, %v", status, err)
	}
	for seed, size := range stored {
		if status, err := s.get(t.Context(), seed, size); err != nil || status != http.StatusOK {
			t.Fatalf("reading back on a full disk: %d, %v", status, err)
		}
	}
	for seed := range stored {
		if status, err := s.remove(t.Context(), seed); err != nil || status != http.StatusNoContent {
			t.Fatalf("deleting on a full disk: %d, %v", status, err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		status, err := s.put(t.Context(), 1, 9*mib)
		if err == nil && status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no room after everything was deleted: %d, %v", status, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestMemory runs many uploads and downloads of large objects at once and watches the server's memory.
func TestMemory(t *testing.T) {
	s := start(t, t.TempDir())
	run := func(what string, from int, fn func(context.Context, int, int64) (int, error)) *sync.WaitGroup {
		var streams sync.WaitGroup
		for i := range *streamCount {
			streams.Go(func() {
				if status, err := fn(t.Context(), from+i, *streamSize); err != nil || status != http.StatusOK {
					t.Errorf("%s: %d, %v", what, status, err)
				}
			})
		}
		return &streams
	}
	run("upload", 0, s.put).Wait()
	stop := make(chan struct{})
	peak := make(chan memory)
	go func() { peak <- watch(s.PID(), stop) }()
	up, down := run("upload", *streamCount, s.put), run("download", 0, s.get)
	up.Wait()
	down.Wait()
	close(stop)
	most := <-peak
	t.Logf("%d uploads and %d downloads of %d MiB: RssAnon at most %d MiB, all resident memory at most %d MiB",
		*streamCount, *streamCount, *streamSize/mib, most.anonymous/mib, most.resident/mib)
	if most.anonymous == 0 || most.anonymous > maxAnonymous {
		t.Errorf("RssAnon reached %d MiB, at most %d", most.anonymous/mib, maxAnonymous/mib)
	}
}

// memory is of a process, in bytes.
type memory struct{ anonymous, resident int64 }

// watch returns the most memory that a process was seen to hold.
func watch(pid int, stop <-chan struct{}) memory {
	var most memory
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			most.anonymous = max(most.anonymous, field(string(status), "RssAnon:"))
			most.resident = max(most.resident, field(string(status), "VmRSS:"))
		}
		select {
		case <-stop:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// field reads a line of /proc/PID/status, which counts in kB of 1024 bytes.
func field(status, name string) int64 {
	_, rest, _ := strings.Cut(status, name)
	var kib int64
	_, _ = fmt.Sscan(rest, &kib) // 0 where it is missing, which the test refuses
	return kib << 10
}
