package python

import (
	"errors"
	"strings"
	"testing"
)

func parse(t testing.TB, text string) *Module {
	t.Helper()
	m, err := Parse("main.py", []byte(text), Limits{Bytes: 1 << 20})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return m
}

// valueOf evaluates the expression that the last assignment to a name holds.
func valueOf(t testing.TB, m *Module, name string) Value {
	t.Helper()
	bindings := m.bindings[name]
	if len(bindings) == 0 {
		t.Fatalf("%s is not bound", name)
	}
	return m.evaluate(bindings[len(bindings)-1].node, 0)
}

func TestParse(t *testing.T) {
	deep := strings.Repeat("(", 201) + "1" + strings.Repeat(")", 201)
	blocks := ""
	for i := range 102 {
		blocks += strings.Repeat(" ", i) + "if x:\n"
	}
	cases := []struct {
		name, text, code, message string
		line                      int
	}{
		{"accepts_crlf_and_byte_order_mark", "\xef\xbb\xbfX = 1\r\nY = 2\r\n", "", "", 0},
		{"accepts_a_utf8_declaration", "#!/usr/bin/python\n# -*- coding: UTF_8 -*-\n", "", "", 0},
		{"accepts_200_brackets", strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), "", "", 0},
		{"accepts_long_chains", "X = " + strings.Repeat("1 + ", 20000) + "1\n", "", "", 0},
		{"accepts_brackets_in_strings", "X = '(((' # ((\nY = \"\"\"\n[[[\n\"\"\"\nZ = r'\\\\' + '\\''\n", "", "", 0},
		{"accepts_new_syntax", "match x:\n    case [1, y]:\n        pass\ntype T = int\ndef f[T](x: T) -> T:\n    return x\nasync def g():\n    async with a() as b, c():\n        pass\ntry:\n    pass\nexcept* ValueError:\n    pass\n", "", "", 0},
		{"refuses_nul", "X = 1\nY = '\x00'\n", CodeEncoding, "NUL", 2},
		{"refuses_latin1", "X = 1\n\n# caf\xe9\n", CodeEncoding, "not UTF-8 (byte 0xe9)", 3},
		{"refuses_utf16", "\xff\xfeX\x00", CodeEncoding, "NUL", 1},
		{"refuses_another_declared_encoding", "# coding: latin-1\n", CodeEncoding, "declares the encoding latin-1", 1},
		{"refuses_large_files", strings.Repeat("#", 1<<20+1), CodeTooLarge, "more than 1048576 bytes", 0},
		{"refuses_deep_brackets", "\nX = " + deep, CodeTooDeep, "200 levels", 2},
		{"refuses_deep_blocks", blocks, CodeTooDeep, "100 levels", 102},
		{"names_the_unclosed_bracket", "X = 1\nY = foo(\n    1,\n\nclass A:\n    pass\n", CodeSyntax, "'(' was never closed", 2},
		{"names_the_wrong_bracket", "X = [1, 2)\n", CodeSyntax, "closing ')' does not match '[' of line 1", 1},
		{"names_the_extra_bracket", "X = 1)\n", CodeSyntax, "unmatched ')'", 1},
		{"names_a_broken_line", "X = 1\nclass A\n    pass\n", CodeSyntax, "invalid syntax", 2},
		{"names_a_broken_definition", "import os\n\ndef f(:\n    pass\n", CodeSyntax, "invalid syntax", 3},
		{"names_a_line_inside_a_method", "class A:\n    def f(self):\n        if x == 3\n        return 1\n    def g(self):\n        pass\n", CodeSyntax, "near \"if x == 3\"", 3},
		{"names_a_missing_name", "class A:\n    def f(self):\n        for in x:\n            pass\n", CodeSyntax, "'identifier' expected", 3},
		{"names_an_unclosed_string", "X = 'abc\nY = 2\n", CodeSyntax, "invalid syntax", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("main.py", []byte(c.text), Limits{Bytes: 1 << 20})
			if c.code == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Code != c.code || e.Line != c.line || !strings.Contains(e.Message, c.message) {
				t.Errorf("got %s at line %d: %s; want %s at line %d with %q", e.Code, e.Line, e.Message, c.code, c.line, c.message)
			}
		})
	}
}
