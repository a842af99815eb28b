package s3api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coffer/chunk"
	"coffer/chunk/memchunk"
	"coffer/cipher"
	"coffer/metastore/memdb"
	"coffer/object/objecttest"
	"coffer/s3api"
	"coffer/s3api/sigv4"
)

// rotten is a chunk store that flips a bit of what is read at and behind an offset.
type rotten struct {
	chunk.Store
	from *atomic.Int64
}

type rottenReader struct {
	chunk.Reader
	from int64
}

func (r rotten) Open(ctx context.Context, id cipher.ChunkID) (chunk.Reader, error) {
	rd, err := r.Store.Open(ctx, id)
	return rottenReader{Reader: rd, from: r.from.Load()}, err
}

func (r rottenReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if at := max(r.from-off, 0); at < int64(n) {
		p[at] ^= 1
	}
	return n, err
}

// TestDamagedObjectIsNeverACleanEnd: damage in the first frame is an error answer; damage behind it resets the
// connection, and what came before is right.
func TestDamagedObjectIsNeverACleanEnd(t *testing.T) {
	t.Parallel()
	var from atomic.Int64
	from.Store(1 << 40)
	env := objecttest.NewOver(memdb.New(), rotten{memchunk.New(memchunk.Options{}), &from})
	s := startOver(t, env.Open(t, nil), nil)
	s.bucket("bucket")
	data := pattern(8 << 20)
	s.put("/bucket/key", string(data))
	if a := s.must(request{method: "GET", target: "/bucket/key"}); !bytes.Equal(a.body, data) {
		t.Fatal("not right before the damage")
	}
	from.Store(0)
	wantError(t, s.do(request{method: "GET", target: "/bucket/key"}), 500, "InternalError")
	if a := s.do(request{method: "HEAD", target: "/bucket/key"}); a.status != 200 {
		t.Errorf("HEAD reads no data: %d", a.status)
	}
	from.Store(5 << 20)
	c := s.dial()
	c.write(s.wire(request{method: "GET", target: "/bucket/key"}, ""))
	a, err := c.tryRead("GET")
	if err == nil || a == nil || a.status != 200 {
		t.Fatalf("answer %+v, error %v", a, err)
	}
	if len(a.body) > 5<<20 || !bytes.Equal(a.body, data[:len(a.body)]) {
		t.Errorf("%d bytes, some of them wrong", len(a.body))
	}
	var reset *net.OpError
	if !errors.As(err, &reset) {
		t.Errorf("the connection ended with %v, want a reset", err)
	}
	if log := s.logs.String(); !strings.Contains(log, `"aborted"`) {
		t.Errorf("not logged:\n%s", log)
	}
}

// TestShutdownDrains: requests under way finish, idle connections close, new ones are refused, readiness says no.
func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	idle := s.dial()
	idle.write(s.wire(request{method: "HEAD", target: "/bucket"}, ""))
	idle.read("HEAD")
	silent := s.dial()
	body := pattern(1 << 20)
	busy := s.dial()
	busy.write(s.wire(request{method: "PUT", target: "/bucket/key", hash: "UNSIGNED-PAYLOAD"}, fmt.Sprintf("Content-Length: %d\r\n", len(body))))
	busy.write(body[:100_000])
	time.Sleep(50 * time.Millisecond) // it has begun
	done := make(chan error, 1)
	go func() { done <- s.api.Shutdown(context.Background()) }()
	if rest := idle.rest(); rest != "" {
		t.Errorf("idle connection: %q", rest)
	}
	waitFor(t, "the port to close", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	silent.rest()
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v while a request was under way", err)
	case <-time.After(100 * time.Millisecond):
	}
	busy.write(body[100_000:])
	a := busy.read("PUT")
	if a.status != 200 || !a.closes {
		t.Errorf("request under way: %d, closes %v\n%s", a.status, a.closes, a.body)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestShutdownGivesUp: a request that does not end is cut off when Shutdown's time is over, and nothing is stored.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	stuck := s.dial()
	stuck.write(s.wire(request{method: "PUT", target: "/bucket/key", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 1000000\r\n"))
	stuck.write(make([]byte, 1000))
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.api.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	stuck.rest()
	if infos, err := s.store.List(context.Background(), listAll("bucket")); err != nil || len(infos.Objects) != 0 {
		t.Errorf("stored: %v %v", infos, err)
	}
}

const timeUnit = 150 * time.Millisecond

// startImpatient serves an object with all timeouts at two units.
func startImpatient(t *testing.T) (s *server, data []byte) {
	t.Helper()
	s = start(t, func(o *s3api.Options) {
		o.HeaderTimeout, o.IdleTimeout, o.StallTimeout = 2*timeUnit, 2*timeUnit, 2*timeUnit
	})
	s.bucket("bucket")
	data = pattern(4 << 20)
	s.put("/bucket/big", string(data))
	return s, data
}

// TestTimeouts: what does not move ends.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const unit = timeUnit
	s, _ := startImpatient(t)
	ended := func(t *testing.T, c *rawConn) {
		t.Helper()
		began := time.Now()
		c.rest()
		if took := time.Since(began); took > 20*unit {
			t.Errorf("it took %v", took)
		}
	}
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		ended(t, s.in(t).dial())
	})
	t.Run("slow header", func(t *testing.T) {
		t.Parallel()
		c := s.in(t).dial()
		go func() {
			for _, b := range []byte("GET /bucket/big HTTP/1.1\r\nHost: a-name-that-takes-long-to-be-sent\r\n") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(unit / 10)
			}
		}()
		a := c.read("GET")
		wantError(t, a, 400, "RequestTimeout")
		ended(t, c)
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		c := s.dial()
		c.write(s.wire(request{method: "HEAD", target: "/bucket"}, ""))
		c.read("HEAD")
		ended(t, c)
	})
	t.Run("stalled body", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		c := s.dial()
		c.write(s.wire(request{method: "PUT", target: "/bucket/stalled", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 1000\r\n"))
		c.write([]byte("only this"))
		wantError(t, c.read("PUT"), 400, "RequestTimeout")
		if a := s.do(request{method: "HEAD", target: "/bucket/stalled"}); a.status != 404 {
			t.Errorf("stored: %d", a.status)
		}
	})
}

// TestSlowTransfers: a deadline is for a pause, not for the whole.
func TestSlowTransfers(t *testing.T) {
	t.Parallel()
	const unit = timeUnit
	s, data := startImpatient(t)
	t.Run("slow body", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		c := s.dial()
		c.write(s.wire(request{method: "PUT", target: "/bucket/slow", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 100000\r\n"))
		for i := range 10 {
			c.write(data[i*10_000 : (i+1)*10_000])
			time.Sleep(unit)
		}
		if a := c.read("PUT"); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("slow reader", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		s.addr = s.listenNarrow()
		c := s.dial()
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
			t.Fatal(err)
		}
		c.write(s.wire(request{method: "GET", target: "/bucket/big"}, ""))
		var got bytes.Buffer
		for range 30 { // slower than a stall timeout for what the engine writes at once
			if _, err := io.CopyN(&got, c.r, 40_000); err != nil {
				t.Fatal(err)
			}
			time.Sleep(unit / 2)
		}
		if _, err := io.CopyN(&got, c.r, 4<<20-30*40_000); err != nil { // the header is part of it
			t.Fatal(err)
		}
		if _, body, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n")); !bytes.HasPrefix(data, body) {
			t.Error("wrong bytes")
		}
	})
	t.Run("stalled reader", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		s.addr = s.listenNarrow()
		c := s.dial()
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
			t.Fatal(err)
		}
		c.write(s.wire(request{method: "GET", target: "/bucket/big"}, ""))
		time.Sleep(8 * unit)
		a, err := c.tryRead("GET")
		if err == nil && len(a.body) == len(data) {
			t.Fatal("nothing stalled: the kernel took all of it")
		}
		if err == nil {
			t.Error("a clean end of part of the object")
		}
	})
}

// narrow is a listener whose connections hold little in the kernel.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return c, err
}

// listenNarrow lets the server serve a second port, which Shutdown closes with the first.
func (s *server) listenNarrow() string {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	go s.api.Serve(narrow{ln}) //nolint:errcheck // ends with Shutdown, which the test's end checks
	return ln.Addr().String()
}

// TestRequestsWaitForTheirTurn: with one slot, the second request is served behind the first, or refused in the end.
func TestRequestsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) { o.MaxRequests = 1 })
	s.bucket("bucket")
	first := s.dial()
	first.write(s.wire(request{method: "PUT", target: "/bucket/key", hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 5\r\n"))
	first.write([]byte("hel"))
	time.Sleep(50 * time.Millisecond)
	if a := s.do(request{method: "GET", target: "/health/live", anonymous: true}); a.status != 200 {
		t.Errorf("health waits: %d", a.status)
	}
	wantError(t, s.do(request{method: "GET", target: "/bucket?location="}), 503, "SlowDown")
	second := make(chan *answer, 1)
	go func() { second <- s.do(request{method: "GET", target: "/bucket/key"}) }()
	time.Sleep(50 * time.Millisecond)
	first.write([]byte("lo"))
	if a := first.read("PUT"); a.status != 200 {
		t.Errorf("first: %d", a.status)
	}
	if a := <-second; a.status != 200 || string(a.body) != "hello" {
		t.Errorf("second: %d %s", a.status, a.body)
	}
}

// TestLogs: each request has one line with its id; keys, secrets and signatures are in none.
func TestLogs(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	answers := []*answer{
		s.do(request{method: "PUT", target: "/bucket/secret-key-name?x-id=PutObject", body: []byte("x"), header: map[string]string{"x-amz-meta-m": "secret-meta"}}),
		s.do(request{method: "GET", target: "/bucket/secret-key-name"}),
		s.do(request{method: "GET", target: "/bucket/secret-key-other"}),
		s.do(request{method: "GET", target: "/bucket/secret-key-name", secret: "wrong"}),
		s.do(request{method: "GET", target: "/bucket/secret-key-name?X-Amz-Signature=secret-signature", anonymous: true}),
	}
	c := s.dial()
	c.write([]byte("GET /bucket/secret-key-name HTTP/1.1\r\nHost: x\r\nAuthorization: secret-token\x01\r\n\r\n"))
	answers = append(answers, c.read("GET"))
	log := s.logs.String()
	for i, a := range answers {
		if id := a.header.Get("x-amz-request-id"); id == "" || strings.Count(log, id) != 1 {
			t.Errorf("request %d: id %q is not in one line", i, id)
		}
	}
	for _, secret := range []string{"secret-", testSecret, "AWS4-HMAC", "Signature="} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}

// TestPanicsStayInside: a panic costs its request or its connection, and not the process.
func TestPanicsStayInside(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) {
		o.Ready = func() error { panic("ready") }
		o.Secrets = func(key string) (sigv4.Secret, bool) {
			if key == "PANIC" {
				panic("secrets")
			}
			return secrets(key)
		}
	})
	wantError(t, s.do(request{method: "GET", target: "/health/ready", anonymous: true}), 500, "InternalError")
	c := s.dial()
	c.write(s.wire(request{method: "GET", target: "/", accessKey: "PANIC"}, ""))
	c.rest()
	s.must(request{method: "GET", target: "/"})
}
