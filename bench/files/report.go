package files

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"coffer/bench"
)

// Report is what Run measured.
type Report struct {
	Sides []string
	Rows  []Row
}

// Row is one line of the table.
type Row struct {
	Name  string
	Unit  string // of what was done in a second; "": times are told
	Cells map[string]*Cell
}

// Cell is a row at one side. Slices are by round.
type Cell struct {
	Amounts []float64
	Times   []float64 // seconds
}

func newReport(p *Plan) *Report {
	r := new(Report)
	for _, side := range p.Sides {
		r.Sides = append(r.Sides, side.Label)
	}
	return r
}

func (r *Report) add(name, unit, side string, amount float64, took time.Duration) {
	row := r.row(name, unit)
	cell := row.Cells[side]
	if cell == nil {
		cell = new(Cell)
		row.Cells[side] = cell
	}
	cell.Amounts = append(cell.Amounts, amount)
	cell.Times = append(cell.Times, took.Seconds())
}

func (r *Report) row(name, unit string) *Row {
	for i := range r.Rows {
		if r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	r.Rows = append(r.Rows, Row{Name: name, Unit: unit, Cells: make(map[string]*Cell)})
	return &r.Rows[len(r.Rows)-1]
}

// Ratio is how much quicker a side is than the first one: 2 is twice as quick. It is the median over the rounds.
func (r *Report) Ratio(row *Row, side string) float64 {
	first, cell := row.Cells[r.Sides[0]], row.Cells[side]
	if first == nil || cell == nil {
		return 0
	}
	if ratio := bench.RatioOfRounds(first.Times, cell.Times); ratio != nil {
		return *ratio
	}
	return 0
}

// Text is an aligned table, and a list of the rows in which a side is slower than the first one.
func (r *Report) Text(side string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "row\tunit\t%s\t\n", strings.Join(r.Sides, "\t")+"\t"+side+" is quicker by")
	var slower []string
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(w, "%s\t%s\t", row.Name, orSeconds(row.Unit))
		for _, label := range r.Sides {
			fmt.Fprintf(w, "%s\t", row.figure(label))
		}
		ratio := r.Ratio(row, side)
		fmt.Fprintf(w, "%.2f\t\n", ratio)
		if ratio < 1 {
			slower = append(slower, fmt.Sprintf("%s: %.2f of %s", row.Name, ratio, r.Sides[0]))
		}
	}
	w.Flush()
	fmt.Fprintf(&b, "\n%s is slower in %d of %d rows\n", side, len(slower), len(r.Rows))
	for _, line := range slower {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

func orSeconds(unit string) string {
	if unit == "" {
		return "s"
	}
	return unit
}

// figure is the median at a side as it is printed.
func (row *Row) figure(side string) string {
	cell := row.Cells[side]
	switch {
	case cell == nil:
		return "-"
	case row.Unit == "":
		return fmt.Sprintf("%.3f", bench.Median(cell.Times))
	}
	rates := make([]float64, len(cell.Times))
	for i, t := range cell.Times {
		rates[i] = cell.Amounts[i] / t
	}
	return fmt.Sprintf("%.0f", bench.Median(rates))
}
