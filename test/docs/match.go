package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// gap stands for what a page does not say.
const gap = "…"

// compare fails where what was printed is not what a page shows.
func compare(want, got string) error {
	want, got = tidy(want), tidy(got)
	var b strings.Builder
	b.WriteString(`\A`)
	for line := range strings.SplitSeq(want, "\n") {
		if strings.TrimSpace(line) == gap {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		parts := strings.Split(line, gap)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		b.WriteString(strings.Join(parts, `[^\n]*`) + `\n`)
	}
	b.WriteString(`\z`)
	expression, err := regexp.Compile(b.String())
	if err != nil {
		return err // the expression is too large
	}
	if !expression.MatchString(got + "\n") {
		return fmt.Errorf("the page shows\n%s\nbut it is\n%s", want, got)
	}
	return nil
}

// tidy takes away what nobody sees, and how wide columns are: that depends on
// what stands in other lines.
func tidy(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
