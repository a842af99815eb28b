package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParsePage(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(`# A page
<!-- needs: vault -->
<!-- needs: server --log-level debug -->

'''sh
not run
'''

'''sh run
one
two
'''

'''console
$ three \
>   four
shown

shown too
$ five
'''

'''console fails
$ six
'''

'''yaml file=a/b.yaml
a: 1
'''

<!-- run
seven
-->

'''json
{}
'''
`, "'''", "```")
	got, err := parsePage(text)
	if err != nil {
		t.Fatal(err)
	}
	want := page{
		needs: []need{{"vault", []string{}}, {"server", []string{"--log-level", "debug"}}},
		steps: []step{
			{line: 10, command: "one\ntwo"},
			{line: 15, command: "three \\\n  four", want: "shown\n\nshown too", shown: true},
			{line: 20, command: "five"},
			{line: 24, command: "six", fails: true},
			{line: 28, file: "a/b.yaml", content: "a: 1\n"},
			{line: 32, command: "seven"},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(page{}, need{}, step{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"```sh run\nx", "<!-- run\nx", "```console\nx\n```", "```sh runs\n```", "<!-- needs: beer -->", "<!-- needs: vault x -->", "<!-- needs:vault -->"} {
		if p, err := parsePage(bad); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"a", "a\n", true},
		{"a", "b", false},
		{"a", "a\nb", false},
		{"a\nb", "a", false},
		{"a…d", "abcd", true},
		{"a…d", "ad", true},
		{"a…d", "ab\ncd", false},
		{"…\nd", "a\nb\nd", true},
		{"…\nd", "d", true},
		{"a\n…", "a\nb\nc", true},
		{"a\n…\nd", "a\nd", true},
		{"a\n…\nd", "a\nb", false},
		{".*", "abc", false},
		{"a  \n", "\na\t\n", true},
		{"a b", "a    b", true},
		{"a b", "ab", false},
	} {
		if err := compare(c.want, c.got); (err == nil) != c.same {
			t.Errorf("%q and %q: %v", c.want, c.got, err)
		}
	}
}

// TestWrongPages shows that a page that is wrong is found out.
func TestWrongPages(t *testing.T) {
	t.Parallel()
	wantPrograms(t)
	for name, c := range map[string]struct{ text, want string }{
		"right":               {"'''sh run\nx=1; f() { echo \"$x:$1\"; }\n'''\n'''console\n$ f 2\n1:2\n'''\n'''text file=d/e\nf\n'''\n'''console\n$ cat d/e\nf\n'''", ""},
		"another answer":      {"'''console\n$ echo a\nb\n'''", ":2: echo a: the page shows\nb\nbut it is\na"},
		"standard error":      {"'''console\n$ echo a >&2\n\n'''", "but it is\na"},
		"a script that fails": {"'''sh run\nfalse\n'''", "status 1"},
		"a hidden one":        {"<!-- run\nfalse\n-->", "status 1"},
		"one that succeeds":   {"'''console fails\n$ true\n'''", "status 0"},
		"one that leaves":     {"'''sh run\nexit 0\n'''", "has ended the shell"},
		"a file elsewhere":    {"'''text file=../x\n'''", "outside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := parsePage(strings.ReplaceAll(c.text, "'''", "```"))
			if err != nil {
				t.Fatal(err)
			}
			w := prepare(t, p)
			s, err := startShell(w.dir, t.TempDir(), w.environment)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			for _, step := range p.steps {
				if err = w.take(s, step); err != nil {
					break
				}
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(":2: "+err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestAddresses shows that shown addresses become real ones, and real ones shown
// ones.
func TestAddresses(t *testing.T) {
	t.Parallel()
	a := &addresses{}
	a.set("127.0.0.1:9000", "127.0.0.1:41000")
	real := a.toReal("http://127.0.0.1:9000/x 127.0.0.1:9100 127.0.0.1:9100 127.0.0.1:90000 127.0.0.1:8200")
	words := strings.Fields(real)
	if a.err != nil || words[0] != "http://127.0.0.1:41000/x" || words[1] == "127.0.0.1:9100" || words[1] != words[2] ||
		words[3] != "127.0.0.1:90000" || words[4] == "127.0.0.1:8200" {
		t.Errorf("%q, %v", real, a.err)
	}
	if back := a.toShown(real); back != "http://127.0.0.1:9000/x 127.0.0.1:9100 127.0.0.1:9100 127.0.0.1:90000 127.0.0.1:8200" {
		t.Errorf("back again: %q", back)
	}
}

// TestNothingStays shows that a process in the background ends with its shell.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	wantPrograms(t)
	dir := t.TempDir()
	s, err := startShell(dir, t.TempDir(), cleanEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.run("PATH=$PATH:/bin:/usr/bin; sleep 1000 & echo $! >pid")
	s.close()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // a kill takes a moment
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		switch {
		case err != nil || strings.Contains(string(stat), ") Z "):
			return
		case time.Now().After(end):
			t.Fatalf("process %s is still there: %s", pid, stat)
		}
	}
}
