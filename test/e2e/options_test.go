//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"coffer/bench"
)

// options are the flags of the test binary. The testing package parses them
// before the first test; nothing changes them afterwards.
var options = defineFlags(flag.CommandLine)

type optionValues struct {
	binary  *string
	tree    *string
	large   *string
	clients *string
	step    *time.Duration
	dir     *string
}

// defineFlags takes each default from the variable of the flag's name.
func defineFlags(set *flag.FlagSet) optionValues {
	define := func(name, fallback, usage string) *string {
		variable := "E2E_" + strings.ToUpper(name)
		if value := os.Getenv(variable); value != "" {
			fallback = value
		}
		return set.String(name, fallback, usage+" ($"+variable+")")
	}
	return optionValues{
		binary:  define("coffer", "../../bin/coffer", "binary of the server"),
		tree:    define("tree", "", "directory of real files to upload; src/internal of GOROOT if empty, which is more than a page of a listing"),
		large:   define("large", "64MiB", "size of the large file"),
		clients: define("clients", "", "names of clients, separated by commas; all if empty"),
		dir:     define("dir", "", "where to work; the system's directory for temporary files if empty"),
		step:    set.Duration("step", 30*time.Minute, "time that one command of a client may take"),
	}
}

func (o optionValues) wants(client string) bool {
	if *o.clients == "" {
		return true
	}
	for name := range strings.SplitSeq(*o.clients, ",") {
		if name == client {
			return true
		}
	}
	return false
}

// source is the directory of real files.
func (o optionValues) source() (string, error) {
	if *o.tree != "" {
		return *o.tree, nil
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src", "internal"), nil
}

func (o optionValues) largeSize() (int64, error) {
	size, err := bench.ParseSize(*o.large)
	return int64(size), err
}

// inCI tells whether a missing tool is a failure.
func inCI() bool { return os.Getenv("CI") == "true" }
