package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write makes the page; it does not replace one.
func (r *recorder) write(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	_, err = file.WriteString(r.page())
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	return nil
}

func (r *recorder) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measurements: %s\n\n", r.flags.Name)
	if r.flags.Quick {
		b.WriteString("A quick run, to try the tool. Its figures mean nothing.\n\n")
	}
	b.WriteString("| | |\n|---|---|\n")
	for _, f := range r.machine {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.value)
	}
	b.WriteString("\n## Lines\n\nA figure measured more than once is the median.\n\n| line | wanted at least | measured | met |\n|---|---|---|---|\n")
	for _, l := range lines() {
		measured, met := l.verdict(r.figures)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", l.text, fmt.Sprintf(l.format, l.want), measured, met)
	}
	for _, p := range r.parts {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", p.title, p.about)
		block(&b, "sh", strings.Join(p.commands, "\n"))
		block(&b, "", p.output)
		if p.failure != nil {
			b.WriteString("\nThis measurement failed:\n")
			block(&b, "", r.hide(p.failure.Error()))
		}
	}
	return b.String()
}

func block(b *strings.Builder, language, text string) {
	if text = strings.Trim(text, "\n"); text != "" {
		fmt.Fprintf(b, "\n```%s\n%s\n```\n", language, text)
	}
}
