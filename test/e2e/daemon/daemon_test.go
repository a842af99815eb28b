package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the server, with manners given by the last
// argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[slices.Index(os.Args, "--listen")+1], os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

func serve(address, manners string) int {
	if manners == "dies" {
		fmt.Println("last words")
		return 3
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		_ = http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user := r.Header.Get("X-User")
			switch {
			case manners == "unready":
				w.WriteHeader(http.StatusServiceUnavailable)
			case user != "" && user != os.Getenv("COFFER_ROOT_USER")+":"+os.Getenv("COFFER_ROOT_PASSWORD"):
				w.WriteHeader(http.StatusForbidden)
			}
		}))
	}()
	<-signals
	switch manners {
	case "deaf":
		select {}
	case "fails":
		return 4
	default:
		return 0
	}
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func options(t *testing.T, manners string) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Binary: self, Dir: t.TempDir(), Args: []string{manners}, Log: new(buffer)}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*Options){
		"random credentials": func(*Options) {},
		"given credentials":  func(o *Options) { o.AccessKey, o.SecretKey = "user", "password" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, "good")
			set(&o)
			d, err := Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-User", d.AccessKey+":"+d.SecretKey)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK || len(d.SecretKey) < 8 {
				t.Errorf("the server has other credentials: %s", response.Status)
			}
			if err := d.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	t.Run("the process dies", func(t *testing.T) {
		t.Parallel()
		o := options(t, "dies")
		if _, err := Start(t.Context(), o); !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("got %v", err)
		}
		if log := fmt.Sprint(o.Log); strings.Count(log, "last words") != attempts {
			t.Errorf("the log is %q", log)
		}
	})
	t.Run("it is never ready", func(t *testing.T) {
		t.Parallel()
		o := options(t, "unready")
		o.ReadyWithin = 500 * time.Millisecond
		if _, err := Start(t.Context(), o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
	t.Run("there is no binary", func(t *testing.T) {
		t.Parallel()
		if _, err := Start(t.Context(), Options{Binary: "/nonexistent/binary", Dir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want ErrNotExist", err)
		}
	})
}

func TestStopFails(t *testing.T) {
	t.Parallel()
	for manners, want := range map[string]string{"deaf": "did not end when asked to", "fails": "exit status 4"} {
		t.Run(manners, func(t *testing.T) {
			t.Parallel()
			d, err := Start(t.Context(), options(t, manners))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := d.Stop(ctx); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
