// Package docs holds the documentation to what the product does. Fenced blocks of README.md and docs/*.md run in order, and
// what they print is compared; links lead somewhere; named files exist. Its main type is Fence. Nobody imports it.
//
// What a fence's info string means:
//
//	sh             a command; it must succeed
//	sh serve       a command that runs until the next such block or the end of the page; "service registered" is awaited
//	python, js     a program with hypha-rpc
//	LANG FILE      the block is written to FILE
//	text output    what the block before printed; … stands for any text, a line of … alone for any lines
//	text           shown only; when it holds commands, the text before says why they are not run
//	yaml           must be YAML
package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Fence is one fenced block of a page.
type Fence struct {
	File   string // as named in links from the top
	Line   int    // of the opening mark
	Lang   string
	Words  []string // of the info string, after the language
	Text   string
	Before string // the paragraph before
}

// String is where the fence stands.
func (f Fence) String() string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

// Is says whether the info string is exactly these words.
func (f Fence) Is(words ...string) bool {
	return slices.Equal(append([]string{f.Lang}, f.Words...), words)
}

// Target is the file that the block is written to, or "".
func (f Fence) Target() string {
	if len(f.Words) == 1 && strings.Contains(f.Words[0], ".") {
		return f.Words[0]
	}
	return ""
}

// page is a Markdown file: its blocks, and its text without them.
type page struct {
	fences []Fence
	prose  []string // lines; those of blocks are empty
}

// parse reads a page. An error names a block that is not closed.
func parse(file, text string) (page, error) {
	var p page
	var open *Fence
	var paragraph, body []string
	for i, line := range strings.Split(text, "\n") {
		mark, isMark := strings.CutPrefix(line, "```")
		switch {
		case open == nil && isMark:
			words := strings.Fields(mark)
			open = &Fence{File: file, Line: i + 1, Before: strings.Join(paragraph, " ")}
			if len(words) > 0 {
				open.Lang, open.Words = words[0], words[1:]
			}
			body = nil
		case open != nil && line == "```":
			open.Text = strings.Join(body, "\n")
			p.fences = append(p.fences, *open)
			open, paragraph = nil, nil
		case open != nil:
			body = append(body, line)
		case strings.TrimSpace(line) != "":
			if i > 0 && len(p.prose) > 0 && strings.TrimSpace(p.prose[len(p.prose)-1]) == "" {
				paragraph = nil
			}
			paragraph = append(paragraph, line)
			p.prose = append(p.prose, line)
			continue
		}
		p.prose = append(p.prose, "")
	}
	if open != nil {
		return p, fmt.Errorf("%s is not closed", open)
	}
	return p, nil
}

// commands are words with which a line of a command block begins.
var commands = regexp.MustCompile(`(?m)^(make|go|sudo|apptainer|systemctl|loginctl|bioengine-hpc|export|mkdir|rm|squeue|scancel|tmux|\./)\b`)

// check says what is wrong with a block's mark.
func (f Fence) check() error {
	switch {
	case f.Target() != "", f.Is("sh"), f.Is("sh", "serve"), f.Is("python"), f.Is("js"), f.Is("yaml"), f.Is("text", "output"):
		return nil
	case !f.Is("text"):
		return fmt.Errorf("%s: nobody knows what to do with the mark %q", f, strings.Join(append([]string{f.Lang}, f.Words...), " "))
	case strings.Contains(f.Before, "<!-- help:"): // generated
		return nil
	case commands.MatchString(f.Text) && !strings.Contains(f.Before, "*Not run "):
		return fmt.Errorf("%s: the text before the commands does not say why they are not run (*Not run …*)", f)
	}
	return nil
}
