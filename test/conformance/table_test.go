package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// table is a document and the lines that it shows, in the order in which they run.
type table struct {
	Document string   `yaml:"document"`
	Environ  []string `yaml:"environ"` // of the first server
	Rows     []row    `yaml:"rows"`
}

// row is a line of a document, or something that the lines around it need.
type row struct {
	At   int      `yaml:"at"`   // where the document has the line
	Line string   `yaml:"line"` // as the document has it; "" is a preparation
	Run  string   `yaml:"run"`  // what runs; the line itself when it is empty
	Why  []string `yaml:"why"`
	Not  string   `yaml:"not"` // why the line runs nowhere

	// Serve means that the line says how a server is started: it runs, and a server is started anew with what it has exported.
	// The answer is that of kms/status.
	Serve bool `yaml:"serve"`

	Both  *answer `yaml:"both"`
	Local *answer `yaml:"local"` // where there is no Vault
	Vault *answer `yaml:"vault"`
}

// answer is what the document promises.
type answer struct {
	Status  int               `yaml:"status"` // of the last request; 0: not looked at
	Exit    int               `yaml:"exit"`   // of the command
	Body    any               `yaml:"body"`   // JSON, as far as it is named; see match
	Text    string            `yaml:"text"`   // part of what is printed
	Headers map[string]string `yaml:"headers"`
	Check   string            `yaml:"check"` // a command that must succeed afterwards
}

// worlds are where lines run: with the keyring alone, and beside a Vault.
const (
	worldLocal = "Local"
	worldVault = "Vault"
)

func worlds() []string { return []string{worldLocal, worldVault} }

// want is the answer in a world.
func (r *row) want(world string) *answer {
	switch {
	case world == worldLocal && r.Local != nil:
		return r.Local
	case world == worldVault && r.Vault != nil:
		return r.Vault
	default:
		return r.Both
	}
}

// documents are those that show lines. S4 shows no command.
func documents() []string { return []string{"S0", "S1", "S2", "S3"} }

func readTable(document string) (*table, error) {
	var t table
	if err := readYAML(filepath.Join("testdata", document+".yaml"), &t); err != nil {
		return nil, err
	}
	if t.Document != document {
		return nil, fmt.Errorf("the file of %s is that of %s", document, t.Document)
	}
	return &t, nil
}

func readYAML(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one document", name)
	}
	return nil
}

// TestTables wants every line to run in both worlds with an answer, or a reason why it runs in none, and every change of a
// line to have a reason that is written down.
func TestTables(t *testing.T) {
	t.Parallel()
	var reasons map[string]string
	if err := readYAML("testdata/adaptations.yaml", &reasons); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, document := range documents() {
		tab, err := readTable(document)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tab.Rows {
			r := &tab.Rows[i]
			for _, fault := range r.faults(reasons) {
				t.Errorf("%s, row %d (line %d): %s", document, i+1, r.At, fault)
			}
			for _, reason := range r.Why {
				used[reason] = true
			}
		}
	}
	for reason := range reasons {
		if !used[reason] {
			t.Errorf("no line was adapted for the reason %q", reason)
		}
	}
}

func (r *row) faults(reasons map[string]string) (faults []string) {
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	for _, reason := range r.Why {
		fault(reasons[reason] == "", "adaptations.yaml does not have %q", reason)
	}
	if r.Line == "" {
		fault(r.At != 0 || r.Not != "" || r.Why != nil || r.Run == "", "a preparation has a command only")
	} else {
		fault(r.At == 0, "it is not said where the document has it")
		adapted := r.Run != "" && strings.TrimSpace(r.Run) != strings.TrimSpace(r.Line)
		fault(adapted && len(r.Why) == 0, "it is adapted for no reason")
		fault(!adapted && len(r.Why) > 0, "it is not adapted, and has a reason")
	}
	if r.Not != "" {
		fault(r.Run != "" || r.Both != nil || r.Local != nil || r.Vault != nil, "it runs nowhere, and has an answer")
		return faults
	}
	for _, world := range worlds() {
		want := r.want(world)
		fault(r.Line != "" && want == nil, "it has no answer in the world %s", world)
		fault(want != nil && want.Status == 0 && want.Text == "" && want.Check == "" && want.Body == nil && !r.Serve,
			"its answer in the world %s says nothing", world)
	}
	return faults
}
