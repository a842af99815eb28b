package config

import (
	"fmt"
	"strings"
)

// Source is the kind of place that a value came from, the weakest first.
type Source uint8

// The sources of a value.
const (
	FromDefault Source = iota
	FromFile
	FromCompatible // a variable that another server has for the same
	FromEnvironment
	FromFlag
)

// Origin is the place that a value came from.
type Origin struct {
	Source Source
	Name   string // of the setting
	File   string // of FromFile
	Line   int    // of FromFile, from 1; 0 means the file as a whole

	Variable string // where it is not the one of the setting's name
}

// String names the place as its reader knows it: --listen, COFFER_LISTEN, or
// /etc/coffer/coffer.yaml:3: listen.
func (o Origin) String() string {
	switch o.Source {
	case FromFlag:
		return "--" + o.Name
	case FromEnvironment, FromCompatible:
		if o.Variable != "" {
			return o.Variable
		}
		return Variable(o.Name)
	case FromFile:
		where := o.File
		if o.Line > 0 {
			where = fmt.Sprintf("%s:%d", where, o.Line)
		}
		if o.Name != "" {
			where += ": " + o.Name
		}
		return where
	default:
		return "default of " + o.Name
	}
}

// Variable gives the name of a setting's environment variable.
func Variable(name string) string { return variable(variablePrefix, name) }

func variable(prefix, name string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

const (
	variablePrefix = "COFFER_"
	rustfsPrefix   = "RUSTFS_" // of the settings of the section kms
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Origin Origin
	Err    error
}

// Error names the place and what is wrong there.
func (f *Fault) Error() string { return f.Origin.String() + ": " + f.Err.Error() }

// Unwrap returns what is wrong.
func (f *Fault) Unwrap() error { return f.Err }

// Faults is everything that is wrong with the configuration, at least one. It
// is the error of Load.
type Faults []*Fault

// Error gives a line to every fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errs
}

// add appends a fault.
func (f *Faults) add(o Origin, err error) { *f = append(*f, &Fault{Origin: o, Err: err}) }

// addf appends a fault in words.
func (f *Faults) addf(o Origin, format string, args ...any) { f.add(o, fmt.Errorf(format, args...)) }

// err is the faults as an error, nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
