package docs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stepTimeout bounds one command.
const stepTimeout = 90 * time.Second

// shell is one bash that runs all commands of a page.
type shell struct {
	dir     string // the working directory of the commands
	private string // where the shell's own files are
	command *exec.Cmd
	stdin   io.WriteCloser
	ended   chan string // the status of each command; closed at the end of bash
	count   int
}

// startShell starts bash in dir with an environment that is given in full.
func startShell(dir, private string, environment []string) (*shell, error) {
	s := &shell{dir: dir, private: private, ended: make(chan string)}
	s.command = exec.Command("bash", "--noprofile", "--norc")
	s.command.Dir, s.command.Env = dir, environment
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end what it leaves behind
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if s.stdin, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.ended <- lines.Text()
		}
	}()
	return s, nil
}

// run runs a command and returns what it printed and its status.
func (s *shell) run(command string) (output string, status int, err error) {
	s.count++
	script := filepath.Join(s.private, strconv.Itoa(s.count)+".sh")
	printed := filepath.Join(s.private, strconv.Itoa(s.count)+".out")
	if err := os.WriteFile(script, []byte(command+"\n"), 0o600); err != nil {
		return "", 0, err
	}
	// What it prints goes to a file: a process in the background may hold it open.
	if _, err := fmt.Fprintf(s.stdin, ". %q >%q 2>&1 </dev/null; echo $?\n", script, printed); err != nil {
		return "", 0, err
	}
	var line string
	var alive bool
	select {
	case line, alive = <-s.ended:
	case <-time.After(stepTimeout):
		err = fmt.Errorf("it does not end within %v", stepTimeout)
	}
	text, readErr := os.ReadFile(printed)
	if err == nil && !alive {
		err = errors.New("it has ended the shell")
	}
	if err == nil {
		status, err = strconv.Atoi(line)
	}
	return string(text), status, errors.Join(err, readErr)
}

// write writes a file of a page.
func (s *shell) write(name, content string) error {
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if !strings.HasPrefix(path, s.dir+string(filepath.Separator)) {
		return fmt.Errorf("%s lies outside the directory of the page", name)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}

// close ends bash and what it has left in the background.
func (s *shell) close() {
	_ = s.stdin.Close()
	// The whole group, whose leader may have ended.
	_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
	for range s.ended {
	}
	_ = s.command.Wait() // it was killed
}
