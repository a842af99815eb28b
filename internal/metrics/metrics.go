package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace begins every name.
const namespace = "coffer"

// scrapeTimeout bounds one answer, and what is read for it.
const scrapeTimeout = 10 * time.Second

// Metrics is all numbers of a process.
type Metrics struct {
	registry *prometheus.Registry
	keys     keyMetrics
	work     workMetrics
	requests requestMetrics
	chunks   chunkCount
	log      *slog.Logger
}

// Options say what there is to know from the beginning.
type Options struct {
	Version string
	Logger  *slog.Logger // none when nil
}

// New makes the metrics of a process.
func New(o Options) *Metrics {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{registry: prometheus.NewRegistry(), log: o.Logger}
	m.keys, m.work, m.requests = newKeyMetrics(), newWorkMetrics(), newRequestMetrics()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": o.Version, "go": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, all := range [][]prometheus.Collector{m.keys.all(), m.work.all(), m.requests.all()} {
		m.registry.MustRegister(all...)
	}
	return m
}

// Handler answers with all numbers.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{m.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: scrapeTimeout,
	})
}

// errorLog logs what could not be gathered.
type errorLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l.log.Warn("metrics cannot be gathered", "cause", v) }

// counters makes a family of counters.
func counters(subsystem, name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
}

// histograms makes a family of histograms.
func histograms(subsystem, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets,
	}, labels)
}

// gauge makes one gauge.
func gauge(subsystem, name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
}
