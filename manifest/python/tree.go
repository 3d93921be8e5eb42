package python

import (
	"fmt"
	"strings"

	sitter "github.com/tree-sitter/go-tree-sitter"
	grammar "github.com/tree-sitter/tree-sitter-python/bindings/go"
)

// maxTreeDepth bounds the recursion of everything that reads the tree. Brackets
// and blocks are bounded before; only long operator chains come this deep, and
// what lies below is cut off and counts as not constant.
const maxTreeDepth = 1000

// kindCut marks a node whose children were cut off at maxTreeDepth.
const kindCut = "cut"

// node is one node of the syntax tree. Kind and field names are the grammar's.
type node struct {
	kind       string
	field      string // the name of this node within its parent, or ""
	named      bool   // false for keywords and punctuation
	start, end int    // byte range
	children   []*node
}

// child returns the first child with the field name, or nil.
func (n *node) child(field string) *node {
	for _, c := range n.children {
		if c.field == field {
			return c
		}
	}
	return nil
}

// first returns the first child of the kind, or nil.
func (n *node) first(kind string) *node {
	for _, c := range n.children {
		if c.kind == kind {
			return c
		}
	}
	return nil
}

// parts returns the children that are neither keywords nor punctuation.
func (n *node) parts() []*node {
	var out []*node
	for _, c := range n.children {
		if c.named {
			out = append(out, c)
		}
	}
	return out
}

// parseTree turns a source into Go nodes. The returned error is an *Error with
// the line of the first place where the grammar did not fit.
func parseTree(src *source) (*node, error) {
	parser := sitter.NewParser()
	defer parser.Close()
	language := sitter.NewLanguage(grammar.Language())
	if err := parser.SetLanguage(language); err != nil {
		return nil, fmt.Errorf("set the Python grammar: %w", err)
	}
	tree := parser.ParseWithOptions(chunks(src.text), nil, nil)
	if tree == nil {
		return nil, fmt.Errorf("the Python grammar gave no tree")
	}
	defer tree.Close()
	b := newBuilder(language, tree, src)
	defer b.cursor.Close()
	root := b.build()
	switch {
	case b.fault != nil:
		return nil, b.fault
	case b.broken:
		return nil, &Error{Code: CodeSyntax, Line: b.cutLine, Message: "invalid syntax in a deeply nested expression"}
	}
	return root, nil
}

// chunks feeds the parser. The binding copies every chunk and keeps the copies
// until the parser is done, so only the first is the whole text.
func chunks(text []byte) func(int, sitter.Point) []byte {
	const again = 4096
	return func(from int, _ sitter.Point) []byte {
		switch {
		case from == 0:
			return text
		case from >= len(text):
			return nil
		default:
			return text[from:min(from+again, len(text))]
		}
	}
}

// builder copies a tree by cursor: children by index cost quadratic time.
type builder struct {
	src     *source
	cursor  *sitter.TreeCursor
	kinds   []string
	named   []bool
	fields  []string
	broken  bool   // the tree has an error somewhere
	fault   *Error // the first error met
	cutLine int    // where nodes were cut off, 0 if nowhere
}

func newBuilder(language *sitter.Language, tree *sitter.Tree, src *source) *builder {
	b := &builder{src: src, cursor: tree.Walk(), broken: tree.RootNode().HasError()}
	for id := range uint16(language.NodeKindCount()) {
		b.kinds = append(b.kinds, language.NodeKindForId(id))
		b.named = append(b.named, language.NodeKindIsNamed(id))
	}
	for id := range uint16(language.FieldCount() + 1) {
		b.fields = append(b.fields, language.FieldNameForId(id))
	}
	return b
}

// build walks the whole tree in order, with a stack of its own.
func (b *builder) build() *node {
	root := b.current()
	path := []*node{root}
	for {
		if top := path[len(path)-1]; len(path) >= maxTreeDepth {
			top.kind, b.cutLine = kindCut, b.src.line(top.start)
		} else if b.cursor.GotoFirstChild() {
			path = append(path, b.attach(top))
			continue
		}
		for !b.cursor.GotoNextSibling() {
			if !b.cursor.GotoParent() {
				return root
			}
			path = path[:len(path)-1]
		}
		path = path[:len(path)-1]
		path = append(path, b.attach(path[len(path)-1]))
	}
}

// attach adds the cursor's node to its parent. Comments are dropped there, but
// returned, so that the path stays in step with the cursor.
func (b *builder) attach(parent *node) *node {
	n := b.current()
	if n.kind != "comment" && n.kind != "line_continuation" {
		parent.children = append(parent.children, n)
	}
	return n
}

func (b *builder) current() *node {
	at := b.cursor.Node()
	start, end := at.ByteRange()
	n := &node{start: int(start), end: int(end)}
	if id := int(at.KindId()); id < len(b.kinds) {
		n.kind, n.named = b.kinds[id], b.named[id]
	} else {
		n.kind, n.named = "ERROR", true
	}
	if id := int(b.cursor.FieldId()); id > 0 && id < len(b.fields) {
		n.field = b.fields[id]
	}
	if b.broken && b.fault == nil && (n.kind == "ERROR" || at.IsMissing()) {
		b.fault = b.syntaxError(n, at.IsMissing())
	}
	return n
}

func (b *builder) syntaxError(n *node, missing bool) *Error {
	at := min(n.start, max(len(b.src.text)-1, 0))
	message := "invalid syntax"
	if missing {
		message = fmt.Sprintf("invalid syntax: %s expected", quoteKind(n.kind))
	} else if near := excerpt(b.src.text[n.start:n.end]); near != "" {
		message = fmt.Sprintf("invalid syntax near %q", near)
	}
	return &Error{Code: CodeSyntax, Line: b.src.line(at), Message: message}
}

// excerpt returns the beginning of a text's first line, at most 40 bytes.
func excerpt(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if len(line) > 40 {
		line = strings.ToValidUTF8(line[:40], "") + "…"
	}
	return line
}

func quoteKind(kind string) string {
	if strings.HasPrefix(kind, "_") {
		return strings.TrimPrefix(kind, "_")
	}
	return "'" + kind + "'"
}
