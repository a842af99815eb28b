package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"coffer/cipher"
	"coffer/object"
)

// workMetrics counts sealing and opening, by mode. The counters of the modes are
// found once: they are added to for every unit of a stream.
type workMetrics struct {
	bytes, seconds, errors [2]*prometheus.CounterVec // sealed, opened
	modes                  [cipher.ModeSSEC + 1][2]modeWork
}

type modeWork struct{ bytes, seconds prometheus.Counter }

func newWorkMetrics() workMetrics {
	m := workMetrics{
		bytes: [2]*prometheus.CounterVec{
			counters("sse", "sealed_bytes_total", "Bytes of objects that were sealed.", "mode"),
			counters("sse", "opened_bytes_total", "Bytes of objects that were opened.", "mode"),
		},
		seconds: [2]*prometheus.CounterVec{
			counters("sse", "sealing_seconds_total", "Time of sealing and of writing what was sealed.", "mode"),
			counters("sse", "opening_seconds_total", "Time of reading and of opening what was read.", "mode"),
		},
		errors: [2]*prometheus.CounterVec{
			counters("sse", "sealing_errors_total", "Objects and parts that could not be sealed.", "mode", "cause"),
			counters("sse", "opening_errors_total", "Objects that could not be opened.", "mode", "cause"),
		},
	}
	for _, mode := range []cipher.Mode{cipher.ModeSSES3, cipher.ModeSSEKMS, cipher.ModeSSEC} {
		for way := range m.bytes {
			m.modes[mode][way] = modeWork{m.bytes[way].WithLabelValues(mode.String()), m.seconds[way].WithLabelValues(mode.String())}
			for _, cause := range []string{"key", "damage", "space", "other"} {
				m.errors[way].WithLabelValues(mode.String(), cause)
			}
		}
	}
	m.errors[1].WithLabelValues(cipher.ModeSSEC.String(), "client_key")
	return m
}

func (m *workMetrics) all() (all []prometheus.Collector) {
	for way := range m.bytes {
		all = append(all, m.bytes[way], m.seconds[way], m.errors[way])
	}
	return all
}

// Work counts a piece of sealing or opening; it is for object.Options.Observe.
func (m *Metrics) Work(w object.Work) {
	way := 0
	if w.Opened {
		way = 1
	}
	if w.Err != nil {
		mode := "unknown" // the sealed key is damaged
		if w.Mode != 0 {
			mode = w.Mode.String()
		}
		m.work.errors[way].WithLabelValues(mode, causeOf(w.Err)).Inc()
		return
	}
	if int(w.Mode) < len(m.work.modes) && w.Mode != 0 {
		c := &m.work.modes[w.Mode][way]
		c.bytes.Add(float64(w.Bytes))
		c.seconds.Add(w.Took.Seconds())
	}
}

// causeOf is what is at fault.
func causeOf(err error) string {
	switch object.KindOf(err) {
	case object.KindUnavailable, object.KindKeyDenied, object.KindKeyNotFound, object.KindKeyDisabled, object.KindNoKeyService:
		return "key"
	case object.KindCustomerKeyMissing, object.KindCustomerKeyWrong:
		return "client_key"
	case object.KindCorrupt:
		return "damage"
	case object.KindNoSpace:
		return "space"
	default:
		return "other"
	}
}
