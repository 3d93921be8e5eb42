package python

import "slices"

// change says where an object is changed in place, or its name bound anew.
type change struct {
	line    int
	how     string
	rebinds bool
}

// mutators are the methods that change a list, dict or set in place.
var mutators = []string{
	"update", "setdefault", "pop", "popitem", "clear", "append", "extend", "insert", "remove", "sort", "reverse", "add", "discard",
}

// findChanges records which module names cannot be constants although they are
// assigned once: their object is changed in place, or a function rebinds them.
// It reads the whole file, since a function may run during the import.
func (m *Module) findChanges(n *node, inFunction bool) {
	switch n.kind {
	case "if_statement":
		if m.isMainGuard(n) {
			m.findGuardedChanges(n, inFunction)
			return
		}
	case "function_definition", "lambda":
		inFunction = true
	case "global_statement":
		m.changeAll(n, change{how: "is assigned inside a function", rebinds: true})
	case "assignment", "augmented_assignment":
		m.changeTarget(n.child("left"))
	case "delete_statement":
		for _, part := range n.parts() {
			m.changeTarget(part)
		}
	case "named_expression":
		if !inFunction {
			m.changeAll(&node{children: []*node{n.child("name")}}, change{how: "is assigned inside an expression", rebinds: true})
		}
	case "call":
		m.changeByCall(n, inFunction)
	}
	for _, c := range n.children {
		m.findChanges(c, inFunction)
	}
}

func (m *Module) findGuardedChanges(n *node, inFunction bool) {
	for _, c := range n.children {
		if c != n.child("consequence") {
			m.findChanges(c, inFunction)
		}
	}
}

func (m *Module) changeAll(n *node, c change) {
	for _, name := range n.children {
		if name != nil && name.kind == "keyword_argument" {
			name = name.child("value")
		}
		if name != nil && name.kind == "identifier" {
			c.line = m.line(name)
			m.change(m.text(name), c)
		}
	}
}

// changeTarget handles NAME[...] = and NAME.x = (bare names are bindings).
func (m *Module) changeTarget(n *node) {
	if n == nil {
		return
	}
	switch n.kind {
	case "subscript", "attribute":
		m.changeRoot(n, "is changed")
	case "pattern_list", "tuple_pattern", "list_pattern", "tuple", "expression_list":
		for _, c := range n.children {
			m.changeTarget(c)
		}
	}
}

// changeByCall handles NAME.update(...), setattr(NAME, ...), and NAME given to a
// function of this file while the module is imported.
func (m *Module) changeByCall(n *node, inFunction bool) {
	callee, arguments := n.child("function"), n.child("arguments")
	if callee == nil || arguments == nil {
		return
	}
	if callee.kind == "attribute" {
		if method := callee.child("attribute"); method != nil && slices.Contains(mutators, m.text(method)) {
			m.changeRoot(callee.child("object"), "is changed by "+m.text(method)+"()")
		}
		return
	}
	if callee.kind != "identifier" {
		return
	}
	name := m.text(callee)
	if bendsNames(name) && !inFunction && m.dynamic == 0 {
		m.dynamic = m.line(n)
	}
	bindings := m.bindings[name]
	own := len(bindings) > 0 && bindings[0].kind == bindFunction && !inFunction
	if name == "setattr" || own {
		m.changeAll(arguments, change{how: "is given to " + name + "()"})
	}
}

// bendsNames lists the builtins through which a module can bind any name.
func bendsNames(builtin string) bool {
	return builtin == "globals" || builtin == "vars" || builtin == "locals" || builtin == "exec" || builtin == "eval"
}

func (m *Module) changeRoot(n *node, how string) {
	for n != nil {
		switch n.kind {
		case "identifier":
			m.change(m.text(n), change{line: m.line(n), how: how})
			return
		case "subscript":
			n = n.child("value")
		case "attribute":
			n = n.child("object")
		case "call":
			n = n.child("function")
		default:
			return
		}
	}
}

// change records the first change of a name, and of what the name is an alias of.
func (m *Module) change(name string, c change) {
	for range resolveDepth {
		if old, known := m.mutated[name]; !known || c.rebinds && !old.rebinds {
			m.mutated[name] = c
		}
		next, ok := m.aliases[name]
		if !ok || c.rebinds {
			return
		}
		name = next
	}
}
