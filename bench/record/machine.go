package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// fact is one row about the circumstances.
type fact struct{ name, value string }

// describe gathers what can be found out; what cannot is left out.
func describe(ctx context.Context, r *recorder, now time.Time) []fact {
	facts := []fact{
		{"date", now.Format("2006-01-02 15:04 UTC")},
		{"cores", fmt.Sprintf("%d, shared by server, client and tests", runtime.NumCPU())},
	}
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	add("processor", field("/proc/cpuinfo", "model name"))
	add("memory", field("/proc/meminfo", "MemTotal"))
	add("load before (1, 5, 15 min)", loadAverage())
	first := func(argv ...string) string {
		out, err := r.execute(ctx, nil, argv...)
		if err != nil {
			return ""
		}
		line, _, _ := strings.Cut(out, "\n")
		return line
	}
	add("system", first("uname", "-srm"))
	_, kind, _ := strings.Cut(strings.TrimSpace(lastLine(ctx, r, "df", "--output=source,fstype", r.dir)), " ")
	add("file system of the data", kind)
	add("go", strings.TrimPrefix(first("go", "version"), "go version "))
	add("fio", first("fio", "--version"))
	add("gocryptfs", strings.TrimPrefix(first("gocryptfs", "-version"), "gocryptfs "))
	add("git", strings.TrimPrefix(first("git", "--version"), "git version "))
	commit := first("git", "rev-parse", "--short=12", "HEAD")
	if commit != "" && first("git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += ", with changes that are not committed"
	}
	add("commit", commit)
	add("server", first(r.flags.Coffer, "version"))
	return facts
}

func lastLine(ctx context.Context, r *recorder, argv ...string) string {
	out, err := r.execute(ctx, nil, argv...)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(out), "\n")
	return all[len(all)-1]
}

// field gives the value of the first "name : value" in a file.
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if before, after, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	words := strings.Fields(string(data))
	return strings.Join(words[:min(3, len(words))], " ")
}
