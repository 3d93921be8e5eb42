package docs

import (
	"fmt"
	"regexp"
	"strings"
)

const anything = "…"

// match compares what a block printed with what the page shows.
func match(shown, printed string) error {
	var pattern strings.Builder
	pattern.WriteString(`^`)
	for _, line := range strings.Split(strings.TrimSpace(shown), "\n") {
		line = strings.TrimRight(line, " ")
		if line == anything {
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		parts := strings.Split(line, anything)
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(part)
		}
		pattern.WriteString(strings.Join(parts, `[^\n]*`) + `\n`)
	}
	pattern.WriteString(`$`)
	ok, err := regexp.MatchString(pattern.String(), trimLines(printed))
	if err == nil && !ok {
		err = fmt.Errorf("the page shows\n%s\nbut it printed\n%s", shown, printed)
	}
	return err
}

// trimLines drops blanks at the ends of lines and blank lines at both ends.
func trimLines(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}
