package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// recorder gathers what the measurements give; one goroutine uses it.
type recorder struct {
	flags   flags
	dir     string
	execute executor
	hidden  []string // what is replaced in commands and output, and by what
	machine []fact
	figures figures
	parts   []part
}

// part is one measurement on the page.
type part struct {
	title    string
	about    string
	commands []string
	output   string
	failure  error
}

func newRecorder(f flags, dir string, execute executor) *recorder {
	return &recorder{
		flags: f, dir: dir, execute: execute, figures: make(figures),
		hidden: []string{dir, "$DIR"},
	}
}

// hide makes text fit for any machine and any run.
func (r *recorder) hide(text string) string { return strings.NewReplacer(r.hidden...).Replace(text) }

// measurement is a part that is not yet measured.
type measurement struct {
	group, title, about string
	do                  func(context.Context, *recorder, *part) error
}

// measurements in their order. The disk is measured three times, with what is
// held against it in between.
func measurements() []measurement {
	disk := measurement{
		"disk", "Single synced appends",
		"4 KiB appended and made durable, one after the other: what the disk gives to one writer.", measureDisk,
	}
	return []measurement{
		{
			"seal", "Sealing and opening beside raw AES-256-GCM",
			"One core. A chunk of 64 MiB in frames of 64 KiB, sixteen times: 1 GiB. 100 % is AES-256-GCM alone, " +
				"sealing 64 KiB in place; the rest is derivation of keys, framing and buffers. Read copies out of its source as a GET does.",
			measureSealing,
		},
		disk,
		{
			"metastore", "Durable transactions of the metastore",
			"64 goroutines; each transaction is durable when it returns.", measureMetastore,
		},
		{
			"store", "Durable 4 KiB puts into the store",
			"object.Store, 64 goroutines; each put is durable when it returns.", measureStore,
		},
		disk,
		{
			"http", "Over HTTP, client on the same machine",
			"The built binary with its defaults, and the load generator, on the same cores. A put is durable when it is answered.",
			measureHTTP,
		},
		disk,
		{"mount", "Files of a mount", aboutMount, measureMount},
		{
			"profile", "What dominates puts and gets",
			"Time on the processor, of the engine without HTTP, by function. Sealing, hashing and system calls are work; the rest is overhead.",
			measureProfiles,
		},
	}
}

// measureAll goes on after a failure, and joins them all.
func (r *recorder) measureAll(ctx context.Context) error {
	var failures []error
	for _, m := range measurements() {
		if len(r.flags.Only) > 0 && !slices.Contains(r.flags.Only, m.group) {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintln(os.Stderr, "measuring:", m.title)
		p := part{title: m.title, about: m.about}
		if p.failure = m.do(ctx, r, &p); p.failure != nil {
			failures = append(failures, fmt.Errorf("%s: %w", m.title, p.failure))
		}
		r.parts = append(r.parts, p)
	}
	return errors.Join(failures...)
}

// run runs a command, and puts it and what it printed into the part.
func (r *recorder) run(ctx context.Context, p *part, environ []string, argv ...string) (string, error) {
	p.commands = append(p.commands, r.hide(commandLine(environ, argv)))
	out, err := r.execute(ctx, environ, argv...)
	if err != nil {
		return out, fmt.Errorf("%s: %w", argv[0], err)
	}
	return out, nil
}

// commandLine quotes what a shell would not leave alone.
func commandLine(environ, argv []string) string {
	words := make([]string, 0, len(environ)+len(argv))
	for _, word := range slices.Concat(environ, argv) {
		if strings.ContainsAny(word, " $^|*()'\"") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// seconds gives the length of a measurement as go test and fio want it.
func (r *recorder) seconds(n int) int {
	if r.flags.Quick {
		return 1
	}
	return n
}

// figures holds measured values by name; one that was measured more than once
// counts by its median.
type figures map[string][]float64

func (f figures) add(name string, value float64) { f[name] = append(f[name], value) }

func (f figures) median(name string) (float64, bool) {
	sorted := slices.Sorted(slices.Values(f[name]))
	if len(sorted) == 0 {
		return 0, false
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2, true
	}
	return sorted[middle], true
}

// ratio is absent unless both are there and the base is not zero.
func (f figures) ratio(name, base string) (float64, bool) {
	a, foundA := f.median(name)
	b, foundB := f.median(base)
	if !foundA || !foundB || b == 0 {
		return 0, false
	}
	return a / b, true
}
