package scheduler

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Kind says what an Error means for the next step.
type Kind string

const (
	// Refused: the request itself was turned down; repeating it is of no use.
	Refused Kind = "refused"
	// Unreachable: there was no usable answer, and nothing was changed. Try later.
	Unreachable Kind = "unreachable"
	// Unclear: the order may or may not have been carried out. Look first.
	Unclear Kind = "unclear"
)

// maxText bounds the foreign text an Error carries, in bytes.
const maxText = 600

// Error is every error of a back end.
type Error struct {
	Kind Kind
	Op   string // what was being done: "submit job cellpose-1"
	Text string // what the back end said, in its own words, on one line
	Hint string // what somebody can do about it; "" when nothing is known
	Err  error  // the cause in this process, such as a time-out; may be nil
}

// Error is one line without the hint.
func (e *Error) Error() string {
	text := OneLine(e.Text)
	if text == "" && e.Err != nil {
		text = e.Err.Error()
	}
	switch e.Kind {
	case Unreachable:
		return fmt.Sprintf("%s: no answer: %s", e.Op, text)
	case Unclear:
		return fmt.Sprintf("%s: outcome unclear: %s", e.Op, text)
	}
	return fmt.Sprintf("%s: %s", e.Op, text)
}

// Unwrap gives the cause in this process.
func (e *Error) Unwrap() error { return e.Err }

// Is says whether err is, or wraps, an Error of kind k.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

// OneLine makes foreign text fit for one line of a log or an error: runs of white
// space and control characters become one space, and what is too long is cut.
func OneLine(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	line := strings.ToValidUTF8(strings.Join(words, " "), "?")
	if len(line) > maxText {
		line = strings.ToValidUTF8(line[:maxText], "") + "…"
	}
	return line
}
