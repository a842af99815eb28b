package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the directory of the module, seen from here.
const root = "../.."

// requirement is a row of docs/conformance.md.
type requirement struct {
	document string // S0 to S4
	number   int
	cells    []string // id, requirement, what Coffer does, shown by
}

var requirementRow = regexp.MustCompile(`^\| (S[0-4])-(\d+) \|`)

// requirements reads the rows of the page.
func requirements(page string) (rows []requirement, faults []string) {
	for number, line := range strings.Split(page, "\n") {
		m := requirementRow.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "| S") {
				faults = append(faults, fmt.Sprintf("line %d begins like a row and is none", number+1))
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		n, err := strconv.Atoi(m[2])
		if err != nil || len(cells) != 4 || slices.Contains(cells, "") {
			faults = append(faults, fmt.Sprintf("line %d: a row has an id, a requirement, what Coffer does, and tests", number+1))
			continue
		}
		rows = append(rows, requirement{m[1], n, cells})
	}
	return rows, faults
}

// TestPage wants every requirement of every document on docs/conformance.md, each with tests that exist.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs/conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := readTests(root)
	if err != nil {
		t.Fatal(err)
	}
	rows, faults := requirements(string(page))
	for _, fault := range append(faults, checkRows(rows, in)...) {
		t.Error(fault)
	}
}

// namedTest is a test as the page names it: package.TestName or package.TestName/sub.
var namedTest = regexp.MustCompile("`([^`]+)`")

// checkRows wants the rows of each document to be numbered from 1, and every row to name a test.
func checkRows(rows []requirement, in *tests) (faults []string) {
	next := map[string]int{}
	for _, r := range rows {
		next[r.document]++
		id := r.cells[0]
		if r.number != next[r.document] {
			faults = append(faults, fmt.Sprintf("%s stands where %s-%d belongs", id, r.document, next[r.document]))
			next[r.document] = r.number
		}
		named := namedTest.FindAllStringSubmatch(r.cells[3], -1)
		if len(named) == 0 {
			faults = append(faults, id+" names no test")
		}
		for _, name := range named {
			if fault := in.lookFor(name[1]); fault != "" {
				faults = append(faults, fmt.Sprintf("%s: %s: %s", id, name[1], fault))
			}
		}
	}
	for _, document := range append(documents(), "S4") {
		if next[document] == 0 {
			faults = append(faults, document+" has no row")
		}
	}
	return faults
}

// tests are all tests of the module.
type tests struct {
	functions map[string]bool            // directory.TestName
	words     map[string]map[string]bool // by directory: string literals, and names of files of testdata
}

// readTests parses the test files of every directory, whatever their build tags say. Helpers of tests, that is, packages whose
// names end with "test", give names of subtests to those who call them, and files of testdata and pages of docs may be
// subtests too.
func readTests(dir string) (*tests, error) {
	in := &tests{functions: map[string]bool{}, words: map[string]map[string]bool{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		switch name := d.Name(); {
		case d.IsDir() && below != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "bin"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		case strings.HasPrefix(below, "docs/") && strings.HasSuffix(name, ".md"): // each is a subtest there
			in.word("test/docs", strings.TrimSuffix(name, ".md"))
			return nil
		case strings.Contains(below, "/testdata/"):
			owner, _, _ := strings.Cut(below, "/testdata/")
			in.word(owner, strings.TrimSuffix(name, filepath.Ext(name)))
			return nil
		case strings.HasSuffix(name, "_test.go"), strings.HasSuffix(name, ".go") && isHelper(filepath.Base(filepath.Dir(path))):
			return in.parse(filepath.ToSlash(filepath.Dir(below)), path)
		}
		return nil
	})
	return in, err
}

// isHelper reports whether a package helps tests.
func isHelper(directory string) bool { return strings.HasSuffix(directory, "test") }

func (in *tests) word(directory, word string) {
	if in.words[directory] == nil {
		in.words[directory] = map[string]bool{}
	}
	in.words[directory][strings.ReplaceAll(word, " ", "_")] = true
}

func (in *tests) parse(directory, path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && (strings.HasPrefix(n.Name.Name, "Test") || strings.HasPrefix(n.Name.Name, "Fuzz") || strings.HasPrefix(n.Name.Name, "Example")) {
				in.functions[directory+"."+n.Name.Name] = true
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				in.word(directory, text)
			}
		}
		return true
	})
	return nil
}

var testName = regexp.MustCompile(`^([a-z0-9/]+)\.((?:Test|Fuzz|Example)\w+)(?:/(.+))?$`)

// lookFor tells what is wrong with the name of a test, "" if it exists.
func (in *tests) lookFor(name string) string {
	m := testName.FindStringSubmatch(name)
	if m == nil {
		return "it is not package.TestName"
	}
	directory, function, subs := m[1], m[2], m[3]
	if !in.functions[directory+"."+function] {
		return "there is no such test"
	}
	if subs == "" {
		return ""
	}
	for sub := range strings.SplitSeq(subs, "/") {
		found := in.words[directory][sub]
		for helper := range maps.Keys(in.words) {
			found = found || isHelper(helper) && in.words[helper][sub]
		}
		if !found {
			return fmt.Sprintf("nothing is called %q there", sub)
		}
	}
	return ""
}

// TestPageFaults shows that what is wrong with a page is found.
func TestPageFaults(t *testing.T) {
	t.Parallel()
	in, err := readTests(root)
	if err != nil {
		t.Fatal(err)
	}
	whole := "| S0-1 | a | b | `test/conformance.TestPage` |\n| S1-1 | a | b | `kms/local.TestConformance/Rotate` |\n" +
		"| S2-1 | a | b | `test/conformance.TestDocumentedLines/S2/Vault`, `cmd/coffer.TestScripts/kms-static` |\n" +
		"| S3-1 | a | b | `s3api.TestSealingFaults/SSE-C_without_key` |\n| S4-1 | a | b | `kms.TestCodes` |\n"
	for name, tt := range map[string]struct{ old, new, fault string }{
		"whole":            {"", "", ""},
		"no test":          {"`kms.TestCodes`", "a look at the code", "S4-1 names no test"},
		"no cell":          {"| b | `kms.TestCodes`", "| | `kms.TestCodes`", "a row has an id"},
		"absent test":      {"TestCodes", "TestCodas", "S4-1: kms.TestCodas: there is no such test"},
		"absent package":   {"`kms.TestCodes`", "`kmz.TestCodes`", "there is no such test"},
		"no package":       {"`kms.TestCodes`", "`TestCodes`", "it is not package.TestName"},
		"absent subtest":   {"Rotate", "Rotite", `nothing is called "Rotite"`},
		"absent script":    {"kms-static", "kms-statue", `nothing is called "kms-statue"`},
		"a number missing": {"S4-1", "S4-2", "S4-2 stands where S4-1 belongs"},
		"a document":       {"| S4-1", "| S3-2", "S4 has no row"},
		"another document": {"| S4-1", "| S5-1", "begins like a row"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, faults := requirements(strings.Replace(whole, tt.old, tt.new, 1))
			got := strings.Join(append(faults, checkRows(rows, in)...), "; ")
			if tt.fault == "" && got != "" || !strings.Contains(got, tt.fault) {
				t.Errorf("faults %q, want %q", got, tt.fault)
			}
		})
	}
}
