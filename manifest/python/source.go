package python

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error codes of this package.
const (
	CodeTooLarge = "source_too_large"
	CodeEncoding = "source_encoding"
	CodeTooDeep  = "source_too_deep"
	CodeSyntax   = "syntax_error"
)

// Error says why a source cannot be read. Line counts from 1; 0 when the
// problem has no line.
type Error struct {
	Code    string
	Line    int
	Message string
	Hint    string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

var (
	utf8BOM = []byte("\xef\xbb\xbf")
	// The declaration of PEP 263, allowed on the first two lines only.
	codingLine = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)
	// Declarations under which a file that is valid UTF-8 reads the same.
	utf8Names = []string{"utf-8", "utf8", "utf-8-sig", "u8", "ascii", "us-ascii"}
)

// maxCodingLine is how far into a line a declaration is looked for.
const maxCodingLine = 1024

// source is a text that is certain to be UTF-8 with "\n" line ends, and knows
// where its lines start.
type source struct {
	text  []byte
	lines []int // offset of the first byte of every line
}

// newSource checks size and encoding and unifies line ends as Python does.
func newSource(raw []byte, maxBytes int) (*source, error) {
	if len(raw) > maxBytes {
		return nil, &Error{Code: CodeTooLarge, Message: fmt.Sprintf("the file has more than %d bytes", maxBytes),
			Hint: "Deployment files hold code; put data into files of their own."}
	}
	text := bytes.TrimPrefix(raw, utf8BOM)
	if err := checkEncoding(text); err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	return &source{text: text, lines: lineStarts(text)}, nil
}

func checkEncoding(text []byte) error {
	if declared, line := declaredEncoding(text); declared != "" {
		name := strings.ReplaceAll(strings.ToLower(declared), "_", "-")
		if !slices.Contains(utf8Names, name) {
			return &Error{Code: CodeEncoding, Line: line,
				Message: fmt.Sprintf("the file declares the encoding %s; only UTF-8 is read", declared),
				Hint:    "Save the file as UTF-8 and remove the declaration."}
		}
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return &Error{Code: CodeEncoding, Line: lineAt(text, at), Message: "the file contains a NUL byte, which Python does not accept",
			Hint: "Save the file as UTF-8 text."}
	}
	if at := firstInvalid(text); at >= 0 {
		return &Error{Code: CodeEncoding, Line: lineAt(text, at),
			Message: fmt.Sprintf("the file is not UTF-8 (byte 0x%02x)", text[at]), Hint: "Save the file as UTF-8."}
	}
	return nil
}

func declaredEncoding(text []byte) (name string, line int) {
	rest := text
	for line = 1; line <= 2; line++ {
		first, after, _ := bytes.Cut(rest, []byte("\n"))
		first = first[:min(len(first), maxCodingLine)]
		if found := codingLine.FindSubmatch(first); found != nil {
			return string(found[1]), line
		}
		// A second line counts only below an empty line or a comment.
		if trimmed := bytes.TrimSpace(first); len(trimmed) > 0 && trimmed[0] != '#' {
			break
		}
		rest = after
	}
	return "", 0
}

// firstInvalid returns the offset of the first byte that is not UTF-8, or -1.
func firstInvalid(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
	return -1
}

func lineAt(text []byte, offset int) int {
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// line returns the line, from 1, that the byte at offset belongs to.
func (s *source) line(offset int) int {
	at, found := slices.BinarySearch(s.lines, offset)
	if found {
		return at + 1
	}
	return at
}
