package python

import "strings"

// bindImports binds the names of one import statement to dotted names: after
// "from ray import serve as s" the name s is ray.serve.
func (m *Module) bindImports(n *node, within string) {
	from := ""
	switch n.kind {
	case "future_import_statement":
		from = "__future__."
	case "import_from_statement":
		from = m.text(n.child("module_name")) + "."
	}
	for _, c := range n.children {
		switch {
		case c.kind == "wildcard_import":
			m.stars = append(m.stars, star{module: strings.TrimSuffix(from, "."), line: m.line(n)})
		case c.field == "name":
			m.bindImport(c, from, within)
		}
	}
}

func (m *Module) bindImport(c *node, from, within string) {
	name, alias := c, c.child("alias")
	if c.kind == "aliased_import" {
		name = c.child("name")
	}
	dotted := m.dottedText(name)
	b := binding{kind: bindImport, target: from + dotted, line: m.line(c), within: within}
	bound := dotted
	switch {
	case alias != nil:
		bound = m.text(alias)
	case from == "": // import a.b binds a
		bound, _, _ = strings.Cut(dotted, ".")
		b.target = bound
	}
	if b.target == "__future__.annotations" {
		m.postponed = true
	}
	m.bind(bound, b)
}

// dottedText returns a dotted_name without the blanks Python allows in it.
func (m *Module) dottedText(n *node) string {
	var parts []string
	for _, c := range n.parts() {
		parts = append(parts, m.text(c))
	}
	return strings.Join(parts, ".")
}

// resolveDepth bounds how far a chain of aliases is followed.
const resolveDepth = 16

// resolve returns the dotted name that an expression stands for: "ray.serve.deployment"
// for s.deployment after "from ray import serve as s", "builtins.int" for int,
// "" when unknown. Of several bindings an import wins: a fallback of a failed
// import must not hide what the file is written for.
func (m *Module) resolve(n *node) string { return m.resolveWithin(n, resolveDepth) }

func (m *Module) resolveWithin(n *node, depth int) string {
	if n == nil || depth == 0 {
		return ""
	}
	switch n.kind {
	case "identifier":
		return m.resolveName(m.text(n), depth)
	case "attribute", "member_type":
		return m.resolveAttribute(n, depth)
	case "type", "parenthesized_expression":
		if parts := n.parts(); len(parts) == 1 {
			return m.resolveWithin(parts[0], depth-1)
		}
	}
	return ""
}

// resolveAttribute walks a.b.c in a loop: chains may be longer than the depth
// that aliases are followed.
func (m *Module) resolveAttribute(n *node, depth int) string {
	var tail []string
	for n.kind == "attribute" || n.kind == "member_type" {
		parts := n.parts()
		if len(parts) != 2 {
			return ""
		}
		tail = append([]string{m.text(parts[1])}, tail...)
		n = parts[0]
	}
	base := m.resolveWithin(n, depth-1)
	if base == "" {
		return ""
	}
	return base + "." + strings.Join(tail, ".")
}

func (m *Module) resolveName(name string, depth int) string {
	bindings := m.bindings[name]
	for _, b := range bindings {
		if b.kind == bindImport {
			return b.target
		}
	}
	switch {
	case len(bindings) == 1 && bindings[0].kind == bindAssign:
		return m.resolveWithin(bindings[0].node, depth-1)
	case len(bindings) == 0 && isBuiltin(name):
		return "builtins." + name
	case len(bindings) == 0 && len(m.stars) == 1:
		return m.stars[0].module + "." + name
	}
	return ""
}

// resolveText resolves a dotted name given as text, as in a string annotation.
func (m *Module) resolveText(dotted string) string {
	head, tail, more := strings.Cut(strings.TrimSpace(dotted), ".")
	base := m.resolveName(head, resolveDepth)
	if base == "" || !more {
		return base
	}
	return base + "." + tail
}

func isBuiltin(name string) bool {
	switch name {
	case "int", "float", "str", "bool", "round", "min", "max", "abs", "dict", "list", "tuple", "set",
		"bytes", "object", "type", "print", "len", "sorted", "sum", "staticmethod", "classmethod", "property":
		return true
	}
	return false
}
