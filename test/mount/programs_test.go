//go:build e2e

package mount

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGit works on a generated repository: commit, clone, gc, fsck.
func TestGit(t *testing.T) {
	need(t, "git")
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	w.run("", "git", "init", "-q", "repository")
	for i := range *files {
		w.write(fmt.Sprintf("repository/d%d/e%d/f%d", i%17, i%53, i), strings.Repeat(fmt.Sprint(random.Uint64())+"\n", 1+random.IntN(40)))
	}
	w.run("repository", "git", "add", ".")
	w.run("repository", "git", "commit", "-q", "-m", "first")
	for i := range *files / 10 {
		w.write(fmt.Sprintf("repository/d%d/e%d/f%d", i%17, i%53, i), "changed\n")
	}
	w.run("repository", "git", "commit", "-q", "-a", "-m", "second")
	if out := w.run("repository", "git", "status", "--porcelain"); out != "" {
		t.Errorf("git status after a commit: %s", out)
	}
	w.run("", "git", "clone", "-q", "repository", "clone")
	w.run("clone", "git", "gc", "-q")
	w.run("clone", "git", "fsck", "--full", "--strict")
	w.run("repository", "git", "checkout", "-q", "HEAD~1")
	w.run("repository", "git", "gc", "-q")
	w.run("repository", "git", "fsck", "--full", "--strict")
	if first, second := w.run("repository", "git", "rev-parse", "master"), w.run("clone", "git", "rev-parse", "HEAD"); first != second {
		t.Errorf("the clone is at %s, the repository at %s", second, first)
	}
}

// tree makes a directory of files, links, permissions and times to copy.
func (w *world) tree(name string) {
	for i := range 200 {
		w.write(fmt.Sprintf("%s/d%d/f%d", name, i%10, i), strings.Repeat("x", i*i))
	}
	root := filepath.Join(w.work, name)
	old := time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	for _, err := range []error{
		os.Symlink("d1/f1", filepath.Join(root, "link")),
		os.Link(filepath.Join(root, "d2/f2"), filepath.Join(root, "d2/hard")),
		os.Chmod(filepath.Join(root, "d3/f3"), 0o4711),
		os.Mkdir(filepath.Join(root, "empty"), 0o700),
		// rsync takes times within one second for the same, so everything is old.
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Type()&fs.ModeSymlink != 0 {
				return err
			}
			return os.Chtimes(path, old, old)
		}),
	} {
		if err != nil {
			w.tb.Fatal(err)
		}
	}
}

// same compares two directories in everything that a copy keeps.
func (w *world) same(a, b string) {
	w.tb.Helper()
	for _, difference := range []string{w.run("", "diff", "-r", "--no-dereference", a, b), difference(w.describe(a), w.describe(b))} {
		if difference != "" {
			w.tb.Errorf("%s and %s differ:\n%s", a, b, difference)
		}
	}
}

func difference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\n" + b[i]
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d and %d names", len(a), len(b))
	}
	return ""
}

// describe lists a directory of the mount.
func (w *world) describe(name string) (list []string) {
	root := filepath.Join(w.work, name)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		modified := info.ModTime().UTC().Format(time.RFC3339Nano)
		if info.Mode()&fs.ModeSymlink != 0 {
			modified = "" // not every copy keeps it
		}
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		list = append(list, fmt.Sprintf("%s %v %d %s", rel, info.Mode(), size, modified))
		return nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return list
}

// TestCopies copies a tree with rsync, tar and cp. The second rsync moves nothing.
func TestCopies(t *testing.T) {
	need(t, "rsync", "tar", "cp", "diff")
	w := newWorld(t)
	w.tree("a")
	w.run("", "rsync", "-aH", "a/", "b/")
	w.same("a", "b")
	if out := w.run("", "rsync", "-aH", "--itemize-changes", "a/", "b/"); out != "" {
		t.Errorf("the second rsync moves:\n%s", out)
	}
	w.run("", "rsync", "-a", "--inplace", "--checksum", "--append-verify", "a/", "b/")
	w.run("", "cp", "-a", "a", "c")
	w.same("a", "c")
	w.run("", "sh", "-c", "mkdir d && tar --format=posix -C a -cf - . | tar -C d -xpf -")
	w.same("a", "d")
	w.run("", "rm", "-r", "a", "b", "c", "d")
	if entries, err := os.ReadDir(w.work); err != nil || len(entries) != 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

// TestVim edits a file as a script, with a backup and a swap file.
func TestVim(t *testing.T) {
	need(t, "vim")
	w := newWorld(t)
	w.write("f.txt", "one\ntwo\n")
	w.run("", "vim", "-es", "-u", "NONE", "-c", "set backup backupskip= backupcopy=no", "-c", "%s/two/three/", "-c", "wq", "f.txt")
	for name, want := range map[string]string{"f.txt": "one\nthree\n", "f.txt~": "one\ntwo\n"} {
		if text, err := os.ReadFile(filepath.Join(w.work, name)); string(text) != want {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
}

// TestMake builds and runs a small C project.
func TestMake(t *testing.T) {
	need(t, "make", "gcc")
	w := newWorld(t)
	var sum, declarations strings.Builder
	for i := range 20 {
		w.write(fmt.Sprintf("c/f%d.c", i), fmt.Sprintf("int f%d(void) { return %d; }\n", i, i))
		fmt.Fprintf(&sum, " + f%d()", i)
		fmt.Fprintf(&declarations, "int f%d(void);\n", i)
	}
	w.write("c/main.c", "#include <stdio.h>\n"+declarations.String()+"int main(void) { printf(\"%d\\n\", 0"+sum.String()+"); return 0; }\n")
	w.write("c/Makefile", "all: program\nprogram: $(patsubst %.c,%.o,$(wildcard *.c))\n\t$(CC) -o $@ $^\nclean:\n\trm -f *.o program\n")
	w.run("c", "make", "-j2")
	if out := w.run("c", "./program"); out != "190\n" {
		t.Errorf("the program prints %q", out)
	}
	if out := w.run("c", "make"); !strings.Contains(out, "Nothing to be done") && !strings.Contains(out, "up to date") {
		t.Errorf("the second make works again: %s", out)
	}
	w.run("c", "make", "clean")
}

// TestGoBuild builds this project from inside the mount.
func TestGoBuild(t *testing.T) {
	need(t, "go", "tar")
	w := newWorld(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w.run("", "sh", "-c", "mkdir coffer && tar -C \"$1\" --exclude=./.git --exclude=./bin --exclude=./test -cf - . | tar -C coffer -xf -", "sh", root)
	w.run("coffer", "go", "build", "-buildvcs=false", "-o", "bin/coffer", "./cmd/coffer")
	if out := w.run("coffer", "bin/coffer", "version"); !strings.HasPrefix(out, "coffer ") {
		t.Errorf("what was built prints %q", out)
	}
}

// TestSQLite writes in both modes of its journal, while the program or the server is killed, and looks for damage.
func TestSQLite(t *testing.T) {
	need(t, "sqlite3")
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.run("", "sqlite3", "db", "pragma journal_mode="+mode+"; create table t(a integer primary key, b text);")
			for round := range 4 {
				first := w.rows()
				cmd := exec.Command("sqlite3", "db")
				cmd.Dir = w.work
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				acknowledged := first + writeRows(t, in, out, 20+10*round)
				if round%2 == 0 {
					cmd.Process.Kill()
				} else {
					w.kill()
					cmd.Process.Kill()
				}
				cmd.Wait()
				if w.server == nil {
					w.start()
				}
				if out := w.run("", "sqlite3", "db", "pragma integrity_check"); out != "ok\n" {
					t.Fatalf("round %d: %s", round, out)
				}
				if rows := w.rows(); rows < acknowledged {
					t.Fatalf("round %d: %d rows, %d were acknowledged", round, rows, acknowledged)
				}
			}
		})
	}
}

func (w *world) rows() (n int) {
	w.tb.Helper()
	if _, err := fmt.Sscan(w.run("", "sqlite3", "db", "select count(*) from t"), &n); err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// writeRows inserts rows, each in a transaction of its own, until so many were acknowledged; one more is under way.
func writeRows(t *testing.T, in interface{ Write([]byte) (int, error) }, out interface{ Read([]byte) (int, error) }, want int) int {
	t.Helper()
	go func() {
		for i := range 10 * want {
			if _, err := fmt.Fprintf(in, "insert into t(b) values('%s'); select 'done';\n", strings.Repeat("x", i%3000)); err != nil {
				return
			}
		}
	}()
	done := 0
	buf := make([]byte, len("done\n"))
	for done < want {
		n := 0
		for n < len(buf) {
			m, err := out.Read(buf[n:])
			if err != nil {
				t.Fatalf("sqlite3 ended after %d rows: %v", done, err)
			}
			n += m
		}
		done++
	}
	return done
}
