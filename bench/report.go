package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// Report is what Run measured.
type Report struct {
	Started   time.Time        `json:"started"`
	Cores     int              `json:"cores"`
	Go        string           `json:"go"`
	Platform  string           `json:"platform"`
	Rounds    int              `json:"rounds"`
	Seconds   float64          `json:"seconds"`  // asked for, of all rounds of a case; 0 is unbounded
	Requests  int64            `json:"requests"` // likewise
	Objects   int              `json:"objects"`
	GetShare  int              `json:"getShare"`
	Unsigned  bool             `json:"unsignedPayload"`
	Verified  bool             `json:"verified"`
	Endpoints []ReportEndpoint `json:"endpoints"`
	Results   []Result         `json:"results"`
}

// ReportEndpoint names an endpoint without its credentials.
type ReportEndpoint struct {
	Label  string `json:"label"`
	URL    string `json:"url"`
	Memory bool   `json:"memory,omitempty"`
}

// Result is one case at one endpoint; mixed has one for all requests and one
// for each kind of them. Rates count successful requests over the time of all
// rounds. Ratio is the median over the rounds of the rate divided by the first
// endpoint's in the same round, and absent where that did nothing.
type Result struct {
	Workload     Workload  `json:"workload"`
	Operation    string    `json:"operation"`
	ObjectBytes  int64     `json:"objectBytes"`
	Concurrency  int       `json:"concurrency"`
	Endpoint     string    `json:"endpoint"`
	Succeeded    int64     `json:"succeeded"`
	Errors       int64     `json:"errors"`
	FirstError   string    `json:"firstError,omitempty"`
	Seconds      float64   `json:"seconds"`
	OpsPerSecond float64   `json:"opsPerSecond"`
	MiBPerSecond float64   `json:"mibPerSecond"`
	Milliseconds Latencies `json:"milliseconds"`
	Ratio        *float64  `json:"ratio"`
	RoundRates   []float64 `json:"roundOpsPerSecond"`
}

func newReport(plan Plan) *Report {
	report := &Report{
		Started: time.Now().UTC().Truncate(time.Second),
		Cores:   runtime.NumCPU(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Rounds: plan.Rounds, Seconds: plan.Duration.Seconds(), Requests: plan.Count, Objects: plan.Objects,
		GetShare: max(plan.GetShare, 0), Unsigned: plan.Unsigned, Verified: plan.Verify,
	}
	for _, e := range plan.Endpoints {
		report.Endpoints = append(report.Endpoints, ReportEndpoint{Label: e.Label, URL: e.URL, Memory: e.Memory})
	}
	return report
}

// caseResults turns the series of one case, the first endpoint's first, into results.
func caseResults(all []*series) []Result {
	type view struct {
		name string
		ops  []operation
	}
	var views []view
	switch all[0].Workload {
	case Mixed:
		views = []view{{"all", []operation{opPut, opGet}}, {"put", []operation{opPut}}, {"get", []operation{opGet}}}
	case Get:
		views = []view{{"get", []operation{opGet}}}
	case List:
		views = []view{{"list", []operation{opList}}}
	default:
		views = []view{{"put", []operation{opPut}}}
	}
	var results []Result
	for _, v := range views {
		var base []float64
		for i, s := range all {
			result := s.result(v.ops...)
			result.Operation = v.name
			if i == 0 {
				base = result.RoundRates
			}
			result.Ratio = RatioOfRounds(result.RoundRates, base)
			results = append(results, result)
		}
	}
	return results
}

func (s *series) result(ops ...operation) Result {
	result := Result{
		Workload: s.Workload, ObjectBytes: int64(s.Size), Concurrency: s.Concurrency,
		Endpoint: s.client.endpoint.Label, RoundRates: []float64{},
	}
	var sum tally
	var elapsed time.Duration
	for i := range s.rounds {
		part := s.rounds[i].tallies.of(ops...)
		result.RoundRates = append(result.RoundRates, perSecond(float64(len(part.samples)), s.rounds[i].elapsed))
		sum.merge(part)
		elapsed += s.rounds[i].elapsed
	}
	result.Succeeded, result.Errors = int64(len(sum.samples)), sum.errors
	if sum.first != nil {
		result.FirstError = sum.first.Error()
	}
	result.Seconds = elapsed.Seconds()
	result.OpsPerSecond = perSecond(float64(len(sum.samples)), elapsed)
	result.MiBPerSecond = perSecond(float64(sum.bytes)/float64(MiB), elapsed)
	result.Milliseconds = summarise(sum.samples)
	return result
}

// Errors counts the failed requests of all results.
func (r *Report) Errors() int64 {
	var n int64
	for _, result := range r.Results {
		if result.Workload != Mixed || result.Operation == "all" {
			n += result.Errors
		}
	}
	return n
}

// WriteJSON writes the report, indented.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// WriteTable writes the results, aligned, and the first error of each that had any.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\tsize\tworkers\tendpoint\tops/s\tMiB/s\tmedian ms\tp90 ms\tp99 ms\tmax ms\terrors\tratio\t")
	for _, result := range r.Results {
		ratio := "-"
		if result.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *result.Ratio)
		}
		ms := result.Milliseconds
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%s\t\n",
			result.name(), Size(result.ObjectBytes), result.Concurrency, result.Endpoint,
			result.OpsPerSecond, result.MiBPerSecond, ms.Median, ms.P90, ms.P99, ms.Max, result.Errors, ratio)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for _, result := range r.Results {
		if result.FirstError == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s at %s: first error: %s\n", result.name(), result.Endpoint, result.FirstError); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}

func (r *Result) name() string {
	if r.Workload == Mixed {
		return "mixed/" + r.Operation
	}
	return string(r.Workload)
}
