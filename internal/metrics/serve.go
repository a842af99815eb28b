package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"coffer/chunk"
)

// countEvery is the pause between counts of the chunk files, which read one
// directory entry for each.
const countEvery = time.Hour

// drain is how long Close waits for answers under way.
const drain = 2 * time.Second

// Service is what Start has begun.
type Service struct {
	server *http.Server // nil: the numbers are not served
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// Start serves /metrics on ln, which it closes, and keeps count of the chunks.
// Where ln is nil it does nothing.
func (m *Metrics) Start(ln net.Listener, chunks chunk.Store) *Service {
	s := &Service{cancel: func() {}}
	if ln == nil {
		return s
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	s.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: scrapeTimeout, ReadTimeout: scrapeTimeout, WriteTimeout: 2 * scrapeTimeout, IdleTimeout: 2 * time.Minute,
	}
	s.tasks.Go(func() {
		if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("metrics are not served any more", "error", err)
		}
	})
	s.tasks.Go(func() {
		for {
			if err := m.chunks.count(ctx, chunks); err != nil && ctx.Err() == nil {
				m.log.Warn("chunks cannot be counted", "error", err)
			}
			select {
			case <-time.After(countEvery):
			case <-ctx.Done():
				return
			}
		}
	})
	return s
}

// Close stops what Start has begun and waits for it.
func (s *Service) Close() error {
	s.cancel()
	var err error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if s.server.Shutdown(ctx) != nil {
			err = s.server.Close()
		}
	}
	s.tasks.Wait()
	return err
}

// chunkCount is how many chunks there were, and when.
type chunkCount struct {
	mu    sync.Mutex
	n     int64
	bytes int64
	at    time.Time
}

// count looks at every chunk.
func (c *chunkCount) count(ctx context.Context, chunks chunk.Store) error {
	var n, bytes int64
	for info, err := range chunks.List(ctx) {
		if err != nil {
			return err
		}
		n++
		bytes += info.Size
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.bytes, c.at = n, bytes, time.Now()
	return nil
}

func (c *chunkCount) read() (n, bytes int64, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.bytes, c.at
}
