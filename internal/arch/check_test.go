package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "coffer"

// rules are the texts of rules_test.go, read.
type rules struct {
	graph    map[string][]string
	confined map[string][]string
	apart    map[string][]string
}

// table reads lines of a name and a list; an indented line goes on with the list
// of the line above.
func table(text string) (map[string][]string, error) {
	t := make(map[string][]string)
	var name string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if !strings.HasPrefix(line, " ") {
			name, fields = fields[0], fields[1:]
			if _, twice := t[name]; twice {
				return nil, fmt.Errorf("%s is listed twice", name)
			}
		}
		t[name] = append(t[name], fields...)
	}
	return t, nil
}

// read makes rules of texts, and checks that the graph goes down only.
func read(graph, confined, apart string) (r rules, err error) {
	for _, t := range []struct {
		into *map[string][]string
		text string
	}{{&r.graph, graph}, {&r.confined, confined}, {&r.apart, apart}} {
		if *t.into, err = table(t.text); err != nil {
			return rules{}, err
		}
	}
	done := make(map[string]bool)
	for pkg := range r.graph {
		if err := r.down(pkg, nil, done); err != nil {
			return rules{}, err
		}
	}
	return r, nil
}

// down follows a package's imports and refuses one that leads back.
func (r rules) down(pkg string, above []string, done map[string]bool) error {
	if slices.Contains(above, pkg) {
		return fmt.Errorf("the graph goes in a circle: %s", strings.Join(append(above, pkg), " -> "))
	}
	if done[pkg] {
		return nil
	}
	for _, below := range r.graph[pkg] {
		if _, listed := r.graph[below]; !listed && below != "*" {
			return fmt.Errorf("%s may import %s, which is not listed", pkg, below)
		}
		if err := r.down(below, append(above, pkg), done); err != nil {
			return err
		}
	}
	done[pkg] = true
	return nil
}

// source is one file of the module.
type source struct {
	name string // path below the root of the module
	pkg  string // directory below the root of the module
	test bool   // a test, or below test/
	ast  *ast.File
}

// load parses every Go file of the module in fsys.
func load(fsys fs.FS) ([]source, error) {
	var files []source
	set := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return descend(fsys, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		test := strings.HasSuffix(name, "_test.go") || within(pkg, "test")
		files = append(files, source{name: name, pkg: pkg, test: test, ast: f})
		return nil
	})
	return files, err
}

// descend leaves out what the go command leaves out, and nested modules.
func descend(fsys fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// within reports whether a path is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// check returns what breaks the rules, a sentence each.
func (r rules) check(files []source) []string {
	faults := checkDocs(files)
	for _, f := range files {
		for _, imp := range f.ast.Imports {
			target, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				continue // the parser would have refused it
			}
			if why := r.importFault(f, target); why != "" {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", f.name, target, why))
			}
		}
		faults = append(faults, checkCode(f)...)
		if _, listed := r.graph[f.pkg]; !listed && !within(f.pkg, "test") {
			faults = append(faults, fmt.Sprintf("%s: package %s is not in the graph", f.name, f.pkg))
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// importFault says why a file may not import a package, or nothing.
func (r rules) importFault(f source, target string) string {
	for imp, places := range r.confined {
		if within(target, imp) && !slices.Contains(places, f.pkg) {
			return "its place is " + strings.Join(places, " ")
		}
	}
	if f.test {
		return ""
	}
	if below, ours := strings.CutPrefix(target, module+"/"); ours {
		return r.layerFault(f.pkg, below)
	}
	for room, never := range r.apart {
		for _, what := range never {
			if within(f.pkg, room) && (within(target, what) || what == "outside" && isOutside(target)) {
				return room + " never sees " + what
			}
		}
	}
	return ""
}

// layerFault says why the code of a package may not import another of the
// module, or nothing.
func (r rules) layerFault(pkg, below string) string {
	allowed := r.graph[pkg]
	if slices.Contains(allowed, below) {
		return ""
	}
	_, listed := r.graph[below]
	if slices.Contains(allowed, "*") && listed && !isHelper(below) {
		return ""
	}
	return "not in the graph"
}

// isHelper reports whether a package is there for tests alone.
func isHelper(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// isOutside reports whether an import is neither ours nor in the standard library.
func isOutside(target string) bool {
	first, _, _ := strings.Cut(target, "/")
	return strings.Contains(first, ".")
}

// checkDocs wants a doc.go in every package, with what the package is.
func checkDocs(files []source) (faults []string) {
	want := make(map[string]bool) // package: has its doc.go
	for _, f := range files {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		want[f.pkg] = want[f.pkg] || path.Base(f.name) == "doc.go" && hasDoc(f.ast)
	}
	for pkg, has := range want {
		if !has {
			faults = append(faults, fmt.Sprintf("%s: no doc.go that begins with the name of the package", pkg))
		}
	}
	return faults
}

func hasDoc(f *ast.File) bool {
	begin := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		begin = "Command "
	}
	return strings.HasPrefix(f.Doc.Text(), begin)
}

// checkCode finds init functions, and code that reads the environment.
func checkCode(f source) (faults []string) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			faults = append(faults, f.name+": has an init function")
		}
	}
	if f.test || f.pkg == environment {
		return faults
	}
	os := localName(f.ast, "os")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if ok && x.Name == os && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, sel.Sel.Name) {
			faults = append(faults, fmt.Sprintf("%s: os.%s outside %s", f.name, sel.Sel.Name, environment))
		}
		return true
	})
	return faults
}

// localName gives the name under which a file knows a package of the standard
// library.
func localName(f *ast.File, target string) string {
	for _, imp := range f.Imports {
		if imp.Path.Value == strconv.Quote(target) && imp.Name != nil {
			return imp.Name.Name
		}
	}
	return target
}
