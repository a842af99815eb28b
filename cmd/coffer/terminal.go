package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// errNoAnswer says that a person gave an empty answer.
var errNoAnswer = errors.New("nothing was typed")

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// asker gives a function that asks a person at the terminal for a secret without
// showing it, or nil when there is no terminal.
func asker(std streams) func(prompt string) ([]byte, error) {
	if !isTerminal(std.in) {
		return nil
	}
	return func(prompt string) ([]byte, error) {
		fmt.Fprint(std.err, prompt)
		text, err := term.ReadPassword(int(std.in.Fd()))
		fmt.Fprintln(std.err)
		if errors.Is(err, io.EOF) || err == nil && len(text) == 0 {
			err = errNoAnswer
		}
		return text, err
	}
}
