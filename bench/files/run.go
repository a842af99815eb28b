package files

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// job is one workload at one side in one round.
type job struct {
	dir   string
	sizes Sizes
	tar   string
	round int
}

func (j *job) path(name string) string { return filepath.Join(j.dir, name) }

// workload is what is measured. It returns how much it did, in its unit.
type workload struct {
	row    string
	unit   string // of what is done in a second; "": the row tells the time
	cold   bool   // with empty caches
	synced string // row of the same with a sync of the disk behind it; "" for none
	do     func(context.Context, *job) (amount float64, err error)
}

// Run measures all workloads at all sides.
func Run(ctx context.Context, p *Plan) (*Report, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	r := newReport(p)
	for round := range p.Rounds {
		for _, side := range p.Sides {
			if err := os.RemoveAll(workDir(&side)); err != nil {
				return nil, err
			}
			if err := os.Mkdir(workDir(&side), 0o755); err != nil {
				return nil, err
			}
		}
		for _, w := range workloads() {
			for i := range p.Sides {
				side := (round + i) % len(p.Sides)
				if err := r.measure(ctx, p, &w, side, round); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", p.Sides[side].Label, w.row, err)
				}
			}
		}
	}
	return r, nil
}

func workDir(side *Side) string { return filepath.Join(side.Dir, "work") }

// measure does a workload once. What others have written before is out of the way of the disk then.
func (r *Report) measure(ctx context.Context, p *Plan, w *workload, side, round int) error {
	s := &p.Sides[side]
	if p.Progress != nil {
		p.Progress(round, w.row, s.Label)
	}
	for i := range p.Sides {
		if err := p.Sides[i].Sync(ctx); err != nil {
			return err
		}
	}
	if w.cold {
		if err := s.Chill(ctx); err != nil {
			return err
		}
	}
	begin := time.Now()
	amount, err := w.do(ctx, &job{dir: workDir(s), sizes: p.Sizes, tar: p.Tar, round: round})
	if err != nil {
		return err
	}
	r.add(w.row, w.unit, s.Label, amount, time.Since(begin))
	if w.synced == "" {
		return nil
	}
	if err := s.Sync(ctx); err != nil {
		return err
	}
	r.add(w.synced, w.unit, s.Label, amount, time.Since(begin))
	return nil
}
