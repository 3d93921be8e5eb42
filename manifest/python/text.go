package python

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// stringLiteral evaluates one literal or several side by side.
func (m *Module) stringLiteral(n *node, depth int) Value {
	literals := []*node{n}
	if n.kind == "concatenated_string" {
		literals = n.parts()
	}
	var out strings.Builder
	for _, literal := range literals {
		v := m.oneString(literal, depth)
		if v.Kind != Str {
			return v
		}
		out.WriteString(v.Str)
	}
	if out.Len() > maxText {
		return m.tooLarge(n)
	}
	return Value{Kind: Str, Str: out.String()}
}

func (m *Module) oneString(n *node, depth int) Value {
	start := n.first("string_start")
	if start == nil {
		return m.opaque(n)
	}
	prefix := strings.ToLower(strings.TrimRight(m.text(start), `'"`))
	if strings.ContainsAny(prefix, "bt") {
		return unknown("`%s` is not a string of text (%s)", m.short(n), m.cite(m.line(n)))
	}
	raw, format := strings.Contains(prefix, "r"), strings.Contains(prefix, "f")
	var out strings.Builder
	for _, part := range n.children {
		switch part.kind {
		case "string_content":
			text, ok := unescape(m.text(part), raw, format)
			if !ok {
				return unknown("`%s` holds an escape that is not read (%s)", m.short(n), m.cite(m.line(n)))
			}
			out.WriteString(text)
		case "interpolation":
			v := m.interpolation(part, depth)
			if v.Kind != Str {
				return v
			}
			out.WriteString(v.Str)
		}
	}
	return Value{Kind: Str, Str: out.String()}
}

// interpolation evaluates {NAME} of an f-string; conversions and format
// specifications are left to Python.
func (m *Module) interpolation(n *node, depth int) Value {
	expression := n.child("expression")
	if expression == nil || n.first("=") != nil || n.child("type_conversion") != nil || n.child("format_specifier") != nil {
		return m.opaque(n)
	}
	v := m.evaluate(expression, depth+1)
	if v.Kind == Unknown {
		return v
	}
	return m.toText(n, v)
}

// toText is Python's str() of simple values.
func (m *Module) toText(n *node, v Value) Value {
	switch v.Kind {
	case Str:
		return v
	case None, Bool, Int, Float:
		return Value{Kind: Str, Str: v.Repr()}
	}
	return m.opaque(n)
}

var simpleEscapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// unescape decodes the text between the quotes. ok is false for what needs
// tables (\N{…}) or is no text (surrogates).
func unescape(s string, raw, format bool) (text string, ok bool) {
	if format {
		s = strings.NewReplacer("{{", "{", "}}", "}").Replace(s)
	}
	if raw || !strings.Contains(s, `\`) {
		return s, true
	}
	var out strings.Builder
	for len(s) > 0 {
		if s[0] != '\\' || len(s) == 1 {
			out.WriteByte(s[0])
			s = s[1:]
			continue
		}
		piece, size, ok := escape(s)
		if !ok {
			return "", false
		}
		out.WriteString(piece)
		s = s[size:]
	}
	return out.String(), true
}

// escape decodes the escape that s begins with and returns its length. An
// unknown escape stays as it is, as in Python.
func escape(s string) (piece string, size int, ok bool) {
	c := s[1]
	if simple, found := simpleEscapes[c]; found {
		return simple, 2, true
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	switch {
	case c == 'N':
		return "", 0, false
	case digits > 0:
		return codepoint(s, 2, digits, 16)
	case c >= '0' && c <= '7':
		end := 2
		for end < min(4, len(s)) && s[end] >= '0' && s[end] <= '7' {
			end++
		}
		return codepoint(s, 1, end-1, 8)
	}
	return s[:1], 1, true
}

func codepoint(s string, from, digits, base int) (piece string, size int, ok bool) {
	if len(s) < from+digits {
		return "", 0, false
	}
	code, err := strconv.ParseUint(s[from:from+digits], base, 32)
	if err != nil || !utf8.ValidRune(rune(code)) {
		return "", 0, false
	}
	return string(rune(code)), from + digits, true
}
