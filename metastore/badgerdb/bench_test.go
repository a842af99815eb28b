package badgerdb_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/metastore/metastoretest"
)

// BenchmarkPut reports, beside the rate, how many transactions share a flush,
// the processor time of one, and the anonymous memory of the process.
func BenchmarkPut(b *testing.B) {
	for _, goroutines := range []int{2, 8, 64, 256} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			db := open(b, options(b, b.TempDir()))
			before, cpu := db.Stats(), cpuTime(b)
			metastoretest.Benchmark(b, db, goroutines)
			after := db.Stats()
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(after.Transactions-before.Transactions)/float64(after.Flushes-before.Flushes), "tx/flush")
			b.ReportMetric(rssAnonMiB(b), "RssAnon-MiB")
		})
	}
}

// BenchmarkRead measures look-ups and listings while level 0 is nearly full, the
// worst that it gets.
func BenchmarkRead(b *testing.B) {
	db := open(b, options(b, b.TempDir()))
	store := metastore.New(db, cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelValues)))
	const names, perUpdate = 50_000, 50
	body, record := make([]byte, 4096), make([]byte, 700)
	name := func(i int) []byte { return fmt.Appendf(nil, "name/%06d", i) }
	for i := 0; i < names; i += perUpdate {
		err := store.Update(b.Context(), func(tx *metastore.Tx) error {
			var err error
			for j := range perUpdate {
				// In an order that spreads every table over all keys.
				n := (i + j) * 7919 % names
				err = errors.Join(err, tx.Put(name(n), record), tx.Put(fmt.Appendf(nil, "data/%06d", n), body))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	view := func(b *testing.B, fn func(v *metastore.View) error) {
		b.Helper()
		if err := store.View(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("present", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			view(b, func(v *metastore.View) error { _, err := v.Get(name(i * 31 % names)); return err })
		}
	})
	b.Run("absent", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			view(b, func(v *metastore.View) error {
				if _, err := v.Get(fmt.Appendf(nil, "name/%06dx", i%names)); !errors.Is(err, metastore.ErrNotFound) {
					return fmt.Errorf("absent key: %w", err)
				}
				return nil
			})
		}
	})
	b.Run("scan=1000", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			view(b, func(v *metastore.View) error {
				n := 0
				for _, err := range v.Scan(name(i*1009%(names-1000)), []byte("name0")) {
					if n++; err != nil || n == 1000 {
						return err
					}
				}
				return nil
			})
		}
	})
}

// cpuTime returns the processor time of this process, the kernel's included.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// rssAnonMiB returns the anonymous memory of this process.
func rssAnonMiB(tb testing.TB) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip("no /proc/self/status")
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	tb.Fatal("no RssAnon in /proc/self/status")
	return 0
}
