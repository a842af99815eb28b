package bench

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateReportsAllFaults(t *testing.T) {
	t.Parallel()
	plan := Plan{
		Endpoints: []Endpoint{
			{Label: "far", URL: "http://192.0.2.1:9000", AccessKey: "a", SecretKey: NewSecret("s")},
			{Label: "far", URL: "http://127.0.0.1:9000", AccessKey: "a"},
			{Label: "base", URL: "http://127.0.0.1:1", Memory: true},
		},
		Workloads: []Workload{"delete", List}, Sizes: []Size{2 * GiB}, Concurrency: []int{-3},
		Rounds: -1, Duration: 2 * time.Hour, Count: -1, Objects: -1, GetShare: 101, Timeout: -1,
	}
	err := plan.Validate()
	if !errors.Is(err, ErrPlan) {
		t.Fatalf("got %v, want ErrPlan", err)
	}
	for _, want := range []string{
		"not on this machine", "access and secret", `two endpoints are called "far"`, `"base" does not list`,
		`"delete"`, "object size", "concurrency", "rounds", "duration", "count", "objects", "share of gets", "time-out",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in:\n%v", want, err)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	far := Endpoint{Label: "far", URL: "http://192.0.2.1:9000", AccessKey: "a", SecretKey: NewSecret("s")}
	near := Endpoint{Label: "near", URL: "http://127.0.0.1:9000", AccessKey: "a", SecretKey: NewSecret("s")}
	for name, plan := range map[string]Plan{
		"defaults":     {Endpoints: []Endpoint{near}},
		"remote":       {Endpoints: []Endpoint{far}, AllowRemote: true},
		"puts only":    {Endpoints: []Endpoint{near}, Workloads: []Workload{Mixed}, GetShare: -1},
		"count only":   {Endpoints: []Endpoint{near}, Count: 10},
		"empty object": {Endpoints: []Endpoint{near}, Sizes: []Size{0}},
	} {
		if err := plan.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Plan{}).Validate(); !errors.Is(err, ErrPlan) {
		t.Errorf("no endpoint: got %v, want ErrPlan", err)
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	plan := Plan{Workloads: []Workload{Put, List}, Sizes: []Size{1, 2}, Concurrency: []int{4, 8}}
	want := []Case{{Put, 1, 4}, {Put, 1, 8}, {List, 1, 4}, {List, 1, 8}, {Put, 2, 4}, {Put, 2, 8}}
	if diff := cmp.Diff(want, plan.Cases()); diff != "" {
		t.Error(diff)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tests := []struct {
		name  string
		plan  Plan
		start time.Time
		want  int // of 20 tries
	}{
		{"by number, rounded up", Plan{Count: 10, Rounds: 3}, now, 4},
		{"by time, passed", Plan{Duration: time.Second, Rounds: 2}, now.Add(-time.Second), 0},
		{"by time, each round its share", Plan{Duration: time.Hour, Rounds: 2}, now.Add(-29 * time.Minute), 20},
		{"by both, time first", Plan{Duration: time.Second, Count: 10, Rounds: 1}, now.Add(-time.Second), 0},
		{"by both, number first", Plan{Duration: time.Hour, Count: 3, Rounds: 1}, now, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			budget, got := newBudget(test.plan, test.start), 0
			for range 20 {
				if _, ok := budget.take(); ok {
					got++
				}
			}
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
