package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// use N PATH: get an object N times, as one who adds much to the lines of the audit log.
func cmdUse(ts *testscript.TestScript, neg bool, args []string) {
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	credentials, err := credentialsIn(ts.Getenv("ETC"))
	ts.Check(err)
	for range times {
		req, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("ADDR")+args[1], nil)
		ts.Check(err)
		for n := range 8 {
			req.Header.Set(fmt.Sprintf("x-coffer-audit-%d", n), strings.Repeat("v", 256))
		}
		ts.Check(signBy(req, credentials))
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("GET %s: %s", args[1], resp.Status)
		}
	}
}

// tamper edit FILE LINE OLD NEW | drop FILE LINE | swap FILE LINE LINE | cut FILE BYTES: change a file of lines, the first
// of which is 1. cut removes bytes at its end.
func cmdTamper(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[1])
	data, err := os.ReadFile(name)
	ts.Check(err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		ts.Check(err)
		return n
	}
	switch args[0] {
	case "edit":
		line := &lines[number(2)-1]
		changed := bytes.Replace(*line, []byte(args[3]), []byte(args[4]), 1)
		if bytes.Equal(changed, *line) {
			ts.Fatalf("line %s has no %q: %s", args[2], args[3], *line)
		}
		*line = changed
	case "drop":
		lines = slices.Delete(lines, number(2)-1, number(2))
	case "swap":
		a, b := number(2)-1, number(3)-1
		lines[a], lines[b] = lines[b], lines[a]
	case "cut":
		lines = [][]byte{data[:len(data)-number(2)]}
	default:
		ts.Fatalf("tamper %s", args[0])
	}
	ts.Check(os.WriteFile(name, bytes.Join(lines, nil), 0o600))
}

// copydir FROM TO: make TO a copy of a directory of files.
func cmdCopyDir(ts *testscript.TestScript, neg bool, args []string) {
	to := ts.MkAbs(args[1])
	ts.Check(os.RemoveAll(to))
	ts.Check(os.CopyFS(to, os.DirFS(ts.MkAbs(args[0]))))
	_, err := os.Stat(filepath.Join(to, "state"))
	ts.Check(err)
}

// head FILE VARIABLE: set a variable to the head that coffer audit verify has printed.
func cmdHead(ts *testscript.TestScript, neg bool, args []string) {
	found := regexp.MustCompile(`(?m)^head +(\S+)$`).FindStringSubmatch(ts.ReadFile(args[0]))
	if found == nil {
		ts.Fatalf("%s has no head", args[0])
	}
	ts.Setenv(args[1], found[1])
}
