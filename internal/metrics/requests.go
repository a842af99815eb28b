package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/s3api"
)

// requestMetrics counts requests of the S3 API, by operation.
type requestMetrics struct {
	requests *prometheus.CounterVec
	aborted  *prometheus.CounterVec
	received *prometheus.CounterVec
	sent     *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newRequestMetrics() requestMetrics {
	return requestMetrics{
		requests: counters("s3", "requests_total", "Requests that were answered.", "operation", "status"),
		aborted:  counters("s3", "aborted_answers_total", "Answers that were cut off.", "operation"),
		received: counters("s3", "received_bytes_total", "Bytes of bodies of requests.", "operation"),
		sent:     counters("s3", "sent_bytes_total", "Bytes of bodies of answers.", "operation"),
		duration: histograms("s3", "request_duration_seconds", "Time from the head of a request to the end of its answer.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}, "operation"),
	}
}

func (m *requestMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.aborted, m.received, m.sent, m.duration}
}

// Served counts a request; it is for s3api.Options.Observe.
func (m *Metrics) Served(r s3api.Served) {
	m.requests.requests.WithLabelValues(r.Operation, strconv.Itoa(r.Status)).Inc()
	m.requests.duration.WithLabelValues(r.Operation).Observe(r.Took.Seconds())
	m.requests.received.WithLabelValues(r.Operation).Add(float64(r.Received))
	m.requests.sent.WithLabelValues(r.Operation).Add(float64(r.Sent))
	aborted := m.requests.aborted.WithLabelValues(r.Operation)
	if r.Aborted {
		aborted.Inc()
	}
}
