package badgerdb_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/metastore/metastoretest"
)

// BenchmarkPut reports, beside the rate, how many transactions share a flush,
// the processor time of one, and the anonymous memory of the process.
func BenchmarkPut(b *testing.B) {
	for _, goroutines := range []int{1, 8, 64, 256} {
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
