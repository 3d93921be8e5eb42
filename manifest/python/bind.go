package python

// bindKind says by which kind of statement a name is bound.
type bindKind int

const (
	bindImport bindKind = iota
	bindAssign          // NAME = value, NAME: T = value
	bindClass
	bindFunction
	bindOther // unpacking, for, with, except, del, augmented assignment, …
)

// binding is one statement at module level that gives a name its object.
type binding struct {
	kind   bindKind
	target string // bindImport: the dotted name of what is imported
	node   *node  // bindAssign: the value; bindClass: the class_definition
	outer  *node  // bindClass: the decorated_definition around it, or nil
	line   int
	within string // the kind of block that decides whether it runs ("if"), or ""
	how    string // bindOther: for a sentence, "is assigned by …"
}

func (m *Module) bind(name string, b binding) { m.bindings[name] = append(m.bindings[name], b) }

// bindBlock collects the bindings of a block. Blocks of compound statements
// belong to the module's scope too, but may not run: within names the reason.
func (m *Module) bindBlock(block *node, within string) {
	for _, statement := range block.children {
		m.bindStatement(statement, within)
	}
}

func (m *Module) bindStatement(n *node, within string) {
	switch n.kind {
	case "import_statement", "import_from_statement", "future_import_statement":
		m.bindImports(n, within)
	case "expression_statement":
		for _, part := range n.children {
			m.bindExpression(part, within)
		}
	case "class_definition", "function_definition":
		m.bindDefinition(n, nil, within)
	case "decorated_definition":
		if inner := n.child("definition"); inner != nil {
			m.bindDefinition(inner, n, within)
		}
	case "delete_statement":
		for _, part := range n.parts() {
			m.bindTargets(part, within, "is deleted")
		}
	case "type_alias_statement":
		m.bindTargets(n.child("left"), within, "is a type")
	case "if_statement", "for_statement", "while_statement", "try_statement", "with_statement", "match_statement":
		m.bindCompound(n, within)
	}
}

func (m *Module) bindDefinition(n, outer *node, within string) {
	name := n.child("name")
	if name == nil {
		return
	}
	b := binding{kind: bindFunction, node: n, outer: outer, line: m.line(n), within: within}
	if n.kind == "class_definition" {
		b.kind = bindClass
	}
	m.bind(m.text(name), b)
}

var blockWords = map[string]string{
	"if_statement": "if", "for_statement": "for", "while_statement": "while",
	"try_statement": "try", "with_statement": "with", "match_statement": "match",
}

// bindCompound descends into the blocks of a compound statement. The block
// guarded by `__name__ == "__main__"` never runs and is left out.
func (m *Module) bindCompound(n *node, within string) {
	inner := blockWords[n.kind]
	skip := n.child("consequence")
	if !m.isMainGuard(n) {
		skip = nil
	}
	if n.kind == "for_statement" {
		m.bindTargets(n.child("left"), within, "is assigned by a for loop")
	}
	for _, c := range n.children {
		switch {
		case c == skip:
		case c.kind == "block":
			m.bindBlock(c, inner)
		case c.kind == "with_clause":
			m.bindAliases(c, within)
		case c.kind == "case_clause":
			m.bindCaptures(c, inner)
		case c.kind == "elif_clause", c.kind == "else_clause", c.kind == "except_clause", c.kind == "finally_clause":
			m.bindAliases(c, inner)
			m.bindCompound(&node{kind: n.kind, children: c.children}, within)
		}
	}
}

// isMainGuard reports whether an if statement asks `__name__ == "__main__"`.
func (m *Module) isMainGuard(n *node) bool {
	condition := n.child("condition")
	if condition == nil {
		return false
	}
	for condition.kind == "parenthesized_expression" && len(condition.parts()) == 1 {
		condition = condition.parts()[0]
	}
	sides := condition.parts()
	if condition.kind != "comparison_operator" || len(sides) != 2 || condition.first("==") == nil {
		return false
	}
	isName := func(n *node) bool { return n.kind == "identifier" && m.text(n) == "__name__" }
	isMain := func(n *node) bool { return n.kind == "string" && m.plainString(n) == "__main__" }
	return isName(sides[0]) && isMain(sides[1]) || isMain(sides[0]) && isName(sides[1])
}

// plainString returns the text of a string literal without its quotes; only for
// comparing with texts that need no escapes.
func (m *Module) plainString(n *node) string {
	if content := n.first("string_content"); content != nil {
		return m.text(content)
	}
	return ""
}

// bindAliases finds the targets of "as" in with and except clauses.
func (m *Module) bindAliases(n *node, within string) {
	for _, c := range n.children {
		switch c.kind {
		case "as_pattern":
			m.bindTargets(c.child("alias"), within, "is assigned by an as clause")
		case "with_item", "tuple", "parenthesized_expression", "as_pattern_target":
			m.bindAliases(c, within)
		}
	}
	if alias := n.child("alias"); alias != nil && n.kind == "except_clause" {
		m.bindTargets(alias, within, "is assigned by an as clause")
	}
}

// bindCaptures binds what a case pattern may capture, and its block.
func (m *Module) bindCaptures(n *node, within string) {
	for _, c := range n.children {
		if c.kind == "block" {
			m.bindBlock(c, within)
			continue
		}
		m.bindTargets(c, within, "is assigned by a match")
	}
}

// bindTargets binds every bare name below a target. Attributes and subscripts
// bind nothing: they change an object (see findChanges).
func (m *Module) bindTargets(n *node, within, how string) {
	if n == nil {
		return
	}
	switch n.kind {
	case "identifier":
		m.bind(m.text(n), binding{kind: bindOther, line: m.line(n), within: within, how: how})
	case "attribute", "subscript", "call":
	default:
		for _, c := range n.children {
			m.bindTargets(c, within, how)
		}
	}
}

func (m *Module) bindExpression(n *node, within string) {
	switch n.kind {
	case "assignment":
		m.bindAssignment(n, within)
	case "augmented_assignment":
		m.bindTargets(n.child("left"), within, "is changed by an augmented assignment")
	}
}

// bindAssignment also follows chains: A = B = 3.
func (m *Module) bindAssignment(n *node, within string) {
	left, value := n.child("left"), n.child("right")
	if value == nil || left == nil {
		return // an annotation alone binds nothing
	}
	for value.kind == "assignment" && value.child("right") != nil {
		value = value.child("right")
	}
	if left.kind == "identifier" {
		m.bind(m.text(left), binding{kind: bindAssign, node: value, line: m.line(n), within: within})
		if value.kind == "identifier" {
			m.aliases[m.text(left)] = m.text(value)
		}
	} else {
		m.bindTargets(left, within, "is assigned by unpacking")
	}
	m.bindExpression(n.child("right"), within)
}
