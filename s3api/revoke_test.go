package s3api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// TestCutTransfers: a client that has stopped reading or sending is cut off, and one that transfers nothing is not.
func TestCutTransfers(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	body := noise(1, 32<<20) // more than connections and engine hold between them
	kms := fields{sse: "aws:kms", sseKeyID: "app"}
	s.must(request{method: "PUT", target: "/bucket/key", body: body, header: kms})

	answer, err := s.client.Do(s.build(request{method: "GET", target: "/bucket/key"}))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	first := make([]byte, 1<<20)
	if _, err := io.ReadFull(answer.Body, first); err != nil || !bytes.Equal(first, body[:1<<20]) {
		t.Fatalf("the beginning: %v", err)
	}
	sending, stalled := io.Pipe()
	r := s.build(request{method: "PUT", target: "/bucket/new", hash: "UNSIGNED-PAYLOAD", header: kms})
	r.Body, r.ContentLength = sending, int64(len(body))
	sent := make(chan error, 1)
	go func() {
		a, err := s.client.Do(r)
		if err == nil {
			_ = a.Body.Close()
		}
		sent <- err
	}()
	if _, err := stalled.Write(body[:1<<20]); err != nil {
		t.Fatal(err)
	}
	requests := func(want int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); s.api.Load().Requests != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) { // the time-out of stalled transfers is a minute
				t.Fatalf("%d requests under way, want %d", s.api.Load().Requests, want)
			}
		}
	}
	requests(2)
	s.store.Revoke()
	s.api.CutTransfers()
	rest, err := io.ReadAll(answer.Body)
	if err == nil || len(rest) >= len(body)-1<<20 || !bytes.HasPrefix(body[1<<20:], rest) {
		t.Errorf("the stream went on to its end, with %d bytes: %v", len(rest), err)
	}
	requests(0)
	_ = stalled.CloseWithError(errStalled)
	if err := <-sent; err == nil {
		t.Error("the upload was answered")
	}
	if a := s.do(request{method: "HEAD", target: "/bucket/new"}); a.status != 404 {
		t.Errorf("something was stored: %d", a.status)
	}
	if a := s.must(request{method: "GET", target: "/bucket/key"}); !bytes.Equal(a.body, body) {
		t.Error("the object differs afterwards")
	}
	idle := s.must(request{method: "HEAD", target: "/bucket/key"})
	s.api.CutTransfers()
	if again := s.must(request{method: "HEAD", target: "/bucket/key"}); idle.status != again.status {
		t.Error("a connection without a transfer was cut")
	}
	_, _ = s.store.Collect(context.Background())
}

var errStalled = errors.New("the client has nothing more to send")
