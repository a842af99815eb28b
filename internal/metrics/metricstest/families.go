package metricstest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Families are all numbers of one answer, by name.
type Families map[string]Family

// Family is the numbers of one name.
type Family struct {
	Type    string // "counter", "gauge" or "histogram"
	Help    string
	Labels  []string // names, sorted
	samples []sample
}

type sample struct {
	labels map[string]string
	value  float64
}

// Get asks for the numbers at a URL.
func Get(ctx context.Context, url string) (Families, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return Read(answer.Body)
}

// Read reads the text form.
func Read(r io.Reader) (Families, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, err
	}
	all := Families{}
	for name, f := range parsed {
		family := Family{Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, m := range f.GetMetric() {
			s := sample{labels: map[string]string{}, value: valueOf(m)}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
				if !slices.Contains(family.Labels, l.GetName()) {
					family.Labels = append(family.Labels, l.GetName())
				}
			}
			family.samples = append(family.samples, s)
		}
		slices.Sort(family.Labels)
		all[name] = family
	}
	return all, nil
}

// valueOf is the value of a number; of a histogram, how often it was observed.
func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	default:
		return m.Untyped.GetValue()
	}
}

// Sum adds up the samples of a name that have the labels, given as pairs of name
// and value. It is 0 where there are none.
func (f Families) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for _, s := range f.matching(name, labels) {
		sum += s.value
	}
	return sum
}

// Has reports whether there is such a sample.
func (f Families) Has(name string, labels ...string) bool { return len(f.matching(name, labels)) > 0 }

func (f Families) matching(name string, labels []string) (found []sample) {
	for _, s := range f[name].samples {
		matches := true
		for i := 0; i+1 < len(labels); i += 2 {
			matches = matches && s.labels[labels[i]] == labels[i+1]
		}
		if matches {
			found = append(found, s)
		}
	}
	return found
}

// Values lists the values that a label has anywhere, sorted.
func (f Families) Values(label string) (values []string) {
	for _, family := range f {
		for _, s := range family.samples {
			if v, ok := s.labels[label]; ok && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return values
}
