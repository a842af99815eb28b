package docs

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// page is what is to be done for one page, in order.
type page struct {
	needs []need
	steps []step
}

// need is something that is started before the first step.
type need struct {
	what string // server, vault or kubernetes
	args []string
}

// step is a command, or a file to be written.
type step struct {
	line    int // of the page, from 1
	command string
	want    string // what it prints; compared if shown
	shown   bool
	fails   bool

	file    string // not "": content is written to it, and nothing is run
	content string
}

var needComment = regexp.MustCompile(`^<!-- needs: (\S.*) -->$`)

// readPage reads a page and finds what does not make sense in it.
func readPage(path string) (page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return page{}, err
	}
	p, err := parsePage(string(text))
	if err != nil {
		return page{}, fmt.Errorf("%s:%w", path, err)
	}
	return p, nil
}

// parsePage fails with an error that begins with the number of a line.
func parsePage(text string) (page, error) {
	var p page
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " ")
		var end string
		switch {
		case strings.HasPrefix(line, "```"):
			end = "```"
		case line == "<!-- run":
			end = "-->"
		case strings.HasPrefix(line, "<!-- needs:"):
			n, err := parseNeed(line)
			if err != nil {
				return page{}, fmt.Errorf("%d: %w", i+1, err)
			}
			p.needs = append(p.needs, n)
			continue
		default:
			continue
		}
		first := i + 1
		for i++; i < len(lines) && strings.TrimRight(lines[i], " ") != end; i++ {
		}
		if i == len(lines) {
			return page{}, fmt.Errorf("%d: the block does not end", first)
		}
		steps, err := parseBlock(line, lines[first:i], first+1)
		if err != nil {
			return page{}, fmt.Errorf("%d: %w", first, err)
		}
		p.steps = append(p.steps, steps...)
	}
	return p, nil
}

func parseNeed(line string) (need, error) {
	m := needComment.FindStringSubmatch(line)
	if m == nil {
		return need{}, fmt.Errorf("%q is not <!-- needs: … -->", line)
	}
	words := strings.Fields(m[1])
	switch what, args := words[0], words[1:]; {
	case what == "server", what == "vault" && (len(args) == 0 || slices.Equal(args, []string{"--tls"})), what == "kubernetes" && len(args) == 0:
		return need{what, args}, nil
	}
	return need{}, fmt.Errorf("%q: there are server, with arguments, vault, with or without --tls, and kubernetes", m[1])
}

// parseBlock gives the steps of a block whose first line of content has the
// number first.
func parseBlock(opening string, content []string, first int) ([]step, error) {
	info := strings.Fields(strings.TrimPrefix(opening, "```"))
	script := step{line: first, command: strings.Join(content, "\n")}
	if opening == "<!-- run" {
		return []step{script}, nil
	}
	if len(info) == 0 {
		return nil, nil
	}
	switch language, rest := info[0], strings.Join(info[1:], " "); {
	case strings.HasPrefix(rest, "file="):
		name := strings.TrimPrefix(rest, "file=")
		return []step{{line: first, file: name, content: strings.Join(content, "\n") + "\n"}}, nil
	case language == "console" && (rest == "" || rest == "fails"):
		return parseDialogue(content, first, rest == "fails")
	case language == "sh" && rest == "run":
		return []step{script}, nil
	case rest != "":
		return nil, fmt.Errorf("the runner does not know ```%s %s", language, rest)
	default:
		return nil, nil
	}
}

func parseDialogue(content []string, first int, fails bool) ([]step, error) {
	var steps []step
	for i, line := range content {
		command, is := strings.CutPrefix(line, "$ ")
		if is {
			steps = append(steps, step{line: first + i, command: command, fails: fails})
			continue
		}
		if len(steps) == 0 {
			return nil, fmt.Errorf("a console block begins with a command, not with %q", line)
		}
		last := &steps[len(steps)-1]
		if more, is := strings.CutPrefix(line, "> "); is && !last.shown {
			last.command += "\n" + more
			continue
		}
		if last.shown {
			last.want += "\n"
		}
		last.want, last.shown = last.want+line, true
	}
	return steps, nil
}
