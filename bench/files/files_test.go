package files

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needPrograms skips a test where the programs of workloads are missing, unless all tests must run.
func needPrograms(t *testing.T) {
	t.Helper()
	for _, name := range []string{"git", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// tinySizes make a run that takes a moment.
func tinySizes() Sizes {
	return Sizes{
		FileBytes: 2 << 20, RandomReads: 20, RandomWrites: 20, SyncedWrites: 3, Small: 12, SmallBytes: 700, PerDirectory: 5,
	}
}

func TestRunOverPlainDirectories(t *testing.T) {
	t.Parallel()
	needPrograms(t)
	tree, archive := t.TempDir(), filepath.Join(t.TempDir(), "tree.tar")
	for name, text := range map[string]string{"a.txt": "a", "sub/b.txt": "b", "left/out.txt": "c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Pack(archive, tree, "left"); err != nil {
		t.Fatal(err)
	}
	chilled, synced := map[string]int{}, map[string]int{}
	side := func(label string) Side {
		return Side{
			Label: label, Dir: t.TempDir(),
			Chill: func(context.Context) error { chilled[label]++; return nil },
			Sync:  func(context.Context) error { synced[label]++; return nil },
		}
	}
	plan := Plan{Sides: []Side{side("one"), side("two")}, Sizes: tinySizes(), Rounds: 2, Tar: archive}
	report, err := Run(t.Context(), &plan)
	if err != nil {
		t.Fatal(err)
	}
	cold, twice := 0, 0
	for _, w := range workloads() {
		if w.cold {
			cold++
		}
		if w.synced != "" {
			twice++
		}
	}
	if want := len(workloads()) + twice; len(report.Rows) != want {
		t.Errorf("%d rows, want %d", len(report.Rows), want)
	}
	for i := range report.Rows {
		row := &report.Rows[i]
		for _, label := range report.Sides {
			if cell := row.Cells[label]; cell == nil || len(cell.Times) != 2 || len(cell.Amounts) != 2 {
				t.Errorf("%s, %s: %v, want two rounds", row.Name, label, cell)
			}
		}
	}
	for _, label := range report.Sides {
		if chilled[label] != 2*cold {
			t.Errorf("%s was chilled %d times, want %d", label, chilled[label], 2*cold)
		}
		if synced[label] == 0 {
			t.Errorf("%s was not synced", label)
		}
	}
	for _, side := range plan.Sides {
		for name, want := range map[string]bool{"a.txt": true, "sub/b.txt": true, "left/out.txt": false, ".git/HEAD": true} {
			if _, err := os.Stat(filepath.Join(side.Dir, "work", treeDir, name)); (err == nil) != want {
				t.Errorf("%s: %v, want it there: %v", name, err, want)
			}
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newReport(&Plan{Sides: []Side{{Label: "theirs"}, {Label: "ours"}}})
	for _, ms := range []time.Duration{100, 200, 400} {
		r.add("write", unitMB, "theirs", 10, ms*time.Millisecond)
		r.add("write", unitMB, "ours", 10, ms*time.Millisecond/2)
		r.add("git", "", "theirs", 1, ms*time.Millisecond)
		r.add("git", "", "ours", 1, ms*time.Millisecond*4)
	}
	text := r.Text("ours")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	got := strings.Join(lines, "\n")
	for _, want := range []string{
		"row unit theirs ours ours is quicker by", "write MB/s 50 100 2.00", "git s 0.200 0.800 0.25",
		"ours is slower in 1 of 2 rows\ngit: 0.25 of theirs",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestPlanFaults(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context) error { return nil }
	archive := filepath.Join(t.TempDir(), "tree.tar")
	if err := Pack(archive, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	good := func() *Plan {
		return &Plan{Sides: []Side{{Label: "x", Dir: t.TempDir(), Chill: nothing, Sync: nothing}}, Sizes: tinySizes(), Rounds: 1, Tar: archive}
	}
	if err := good().validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Plan){
		"no sides":     func(p *Plan) { p.Sides = nil },
		"no rounds":    func(p *Plan) { p.Rounds = 0 },
		"an odd size":  func(p *Plan) { p.Sizes.FileBytes++ },
		"no archive":   func(p *Plan) { p.Tar = archive + ".absent" },
		"no Sync":      func(p *Plan) { p.Sides[0].Sync = nil },
		"no Chill":     func(p *Plan) { p.Sides[0].Chill = nil },
		"nothing read": func(p *Plan) { p.Sizes.RandomReads = 0 },
	} {
		p := good()
		spoil(p)
		if _, err := Run(t.Context(), p); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
