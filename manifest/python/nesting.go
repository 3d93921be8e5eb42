package python

import "fmt"

const (
	maxBrackets = 200 // CPython refuses more too ("too many nested parentheses")
	maxIndents  = 100 // CPython: "too many levels of indentation"
	// maxFaults brackets that do not match are no misunderstanding of an f-string
	// any more, and would cost the parser's error recovery seconds.
	maxFaults = 100
)

// nesting looks at a source the way a tokenizer does: strings, comments and
// brackets, nothing else. It runs before the parser, whose time and memory grow
// with depth, and it finds the bracket that was never closed, a place which the
// parser's own error recovery usually misses.
type nesting struct {
	src     *source
	at      int
	open    []bracket
	indents []int
	fresh   bool   // at the start of a logical line
	fault   *Error // first unbalanced bracket; counts only if the parser objects too
	faults  int
}

type bracket struct {
	char byte
	at   int
}

// checkNesting returns an error when the source is nested too deeply. The fault
// is the first bracket that does not match; a nil fault means all do.
func checkNesting(src *source) (fault *Error, err error) {
	n := &nesting{src: src, fresh: true}
	for n.at < len(src.text) {
		if n.fresh && len(n.open) == 0 {
			if err := n.indent(); err != nil {
				return nil, err
			}
			continue
		}
		if err := n.step(); err != nil {
			return nil, err
		}
	}
	if n.fault == nil && len(n.open) > 0 {
		last := n.open[len(n.open)-1]
		n.fault = &Error{Code: CodeSyntax, Line: src.line(last.at), Message: fmt.Sprintf("invalid syntax: '%c' was never closed", last.char)}
	}
	return n.fault, nil
}

func (n *nesting) step() error {
	switch c := n.src.text[n.at]; c {
	case '#':
		n.skipLine()
	case '\'', '"':
		n.skipString(c)
	case '(', '[', '{':
		n.open = append(n.open, bracket{c, n.at})
		n.at++
		if len(n.open) > maxBrackets {
			return n.tooDeep(fmt.Sprintf("brackets are nested deeper than %d levels", maxBrackets))
		}
	case ')', ']', '}':
		n.close(c)
		n.at++
		if n.faults > maxFaults {
			return n.fault
		}
	case '\\':
		n.at += 2
	case '\n':
		n.fresh = true
		n.at++
	default:
		n.at++
	}
	return nil
}

func (n *nesting) close(c byte) {
	opener := map[byte]byte{')': '(', ']': '[', '}': '{'}[c]
	line := n.src.line(n.at)
	switch {
	case len(n.open) == 0:
		n.blame(line, fmt.Sprintf("invalid syntax: unmatched '%c'", c))
		return
	case n.open[len(n.open)-1].char != opener:
		last := n.open[len(n.open)-1]
		n.blame(line, fmt.Sprintf("invalid syntax: closing '%c' does not match '%c' of line %d", c, last.char, n.src.line(last.at)))
	}
	n.open = n.open[:len(n.open)-1]
}

func (n *nesting) blame(line int, message string) {
	n.faults++
	if n.fault == nil {
		n.fault = &Error{Code: CodeSyntax, Line: line, Message: message}
	}
}

// indent measures one line start and keeps the stack of indentations.
func (n *nesting) indent() error {
	n.fresh = false
	width := 0
	for n.at < len(n.src.text) && (n.src.text[n.at] == ' ' || n.src.text[n.at] == '\t' || n.src.text[n.at] == '\f') {
		width++
		n.at++
	}
	if n.at == len(n.src.text) || n.src.text[n.at] == '\n' || n.src.text[n.at] == '#' {
		return nil // blank lines do not indent
	}
	for len(n.indents) > 0 && n.indents[len(n.indents)-1] >= width {
		n.indents = n.indents[:len(n.indents)-1]
	}
	if width > 0 {
		n.indents = append(n.indents, width)
	}
	if len(n.indents) > maxIndents {
		return n.tooDeep(fmt.Sprintf("blocks are nested deeper than %d levels", maxIndents))
	}
	return nil
}

func (n *nesting) tooDeep(message string) error {
	return &Error{Code: CodeTooDeep, Line: n.src.line(min(n.at, len(n.src.text)-1)), Message: message}
}

func (n *nesting) skipLine() {
	for n.at < len(n.src.text) && n.src.text[n.at] != '\n' {
		n.at++
	}
}

// skipString moves behind a string literal. Prefixes do not matter: a backslash
// hides the next quote in raw strings as well.
func (n *nesting) skipString(quote byte) {
	text := n.src.text
	triple := n.at+2 < len(text) && text[n.at+1] == quote && text[n.at+2] == quote
	if triple {
		n.at += 2
	}
	for n.at++; n.at < len(text); n.at++ {
		switch {
		case text[n.at] == '\\':
			n.at++
		case text[n.at] == '\n' && !triple:
			return // never closed; the parser says so
		case text[n.at] != quote:
		case !triple:
			n.at++
			return
		case n.at+2 < len(text) && text[n.at+1] == quote && text[n.at+2] == quote:
			n.at += 3
			return
		}
	}
}
