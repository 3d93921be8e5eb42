package python

import "fmt"

// Bounds of the evaluator. What exceeds them is Unknown, never an error: the
// file may be fine for Python.
const (
	maxSteps  = 100_000 // expressions evaluated per file
	maxDepth  = 200     // nesting of one expression, names included
	maxText   = 64 << 10
	maxMember = 4096    // members of one container
	maxSize   = 1 << 16 // members of members, shared ones counted each time
)

// constant is the cached value of a module name.
type constant struct {
	value Value
	busy  bool // being evaluated: the name refers to itself
}

// evaluate computes an expression in the scope of the module.
func (m *Module) evaluate(n *node, depth int) Value {
	v := m.compute(n, depth)
	if v.weigh(); v.size > maxSize {
		v = m.tooLarge(n)
	}
	v.Line = m.line(n)
	return v
}

func (m *Module) compute(n *node, depth int) Value {
	if m.steps--; m.steps < 0 {
		return unknown("the expressions of %s are too many to evaluate", m.file)
	}
	if depth > maxDepth || n.kind == kindCut {
		return unknown("the expression is nested deeper than %d levels (%s)", maxDepth, m.cite(m.line(n)))
	}
	switch n.kind {
	case "none":
		return Value{Kind: None}
	case "true", "false":
		return boolean(n.kind == "true")
	case "integer":
		return m.integer(n)
	case "float":
		return m.float(n)
	case "string", "concatenated_string":
		return m.stringLiteral(n, depth)
	case "identifier":
		return m.name(n, depth)
	case "list", "tuple", "set", "expression_list":
		return m.sequence(n, depth)
	case "dictionary":
		return m.dictionary(n, depth)
	case "call":
		return m.call(n, depth)
	case "subscript":
		return m.subscript(n, depth)
	}
	return m.computeOperator(n, depth)
}

func (m *Module) computeOperator(n *node, depth int) Value {
	switch n.kind {
	case "parenthesized_expression":
		if parts := n.parts(); len(parts) == 1 {
			return m.evaluate(parts[0], depth+1)
		}
	case "unary_operator":
		return m.unary(n, m.evaluate(n.child("argument"), depth+1))
	case "not_operator":
		v := m.evaluate(n.child("argument"), depth+1)
		if v.Kind == Unknown {
			return v
		}
		return boolean(!v.truth())
	case "binary_operator":
		left, right := m.evaluate(n.child("left"), depth+1), m.evaluate(n.child("right"), depth+1)
		return m.binary(n, left, right)
	case "boolean_operator":
		return m.boolean(n, depth)
	case "comparison_operator":
		return m.comparison(n, depth)
	case "conditional_expression":
		return m.conditional(n, depth)
	}
	return m.opaque(n)
}

// opaque explains an expression that is not evaluated at all.
func (m *Module) opaque(n *node) Value {
	what := map[string]string{
		"attribute":                "is looked up",
		"await":                    "is awaited",
		"lambda":                   "is a function",
		"list_comprehension":       "is a comprehension, computed",
		"dictionary_comprehension": "is a comprehension, computed",
		"set_comprehension":        "is a comprehension, computed",
		"generator_expression":     "is a generator, computed",
	}[n.kind]
	if what == "" {
		what = "is computed"
	}
	return unknown("`%s` %s when the file runs (%s)", m.short(n), what, m.cite(m.line(n)))
}

func (m *Module) boolean(n *node, depth int) Value {
	left := m.evaluate(n.child("left"), depth+1)
	if left.Kind == Unknown {
		return left
	}
	if isAnd := n.first("and") != nil; left.truth() != isAnd {
		return left
	}
	return m.evaluate(n.child("right"), depth+1)
}

func (m *Module) conditional(n *node, depth int) Value {
	parts := n.parts()
	if len(parts) != 3 {
		return m.opaque(n)
	}
	condition := m.evaluate(parts[1], depth+1)
	switch {
	case condition.Kind == Unknown:
		return condition
	case condition.truth():
		return m.evaluate(parts[0], depth+1)
	default:
		return m.evaluate(parts[2], depth+1)
	}
}

// name is the value of a module constant: assigned once, at module level, to a
// constant, and never changed.
func (m *Module) name(n *node, depth int) Value {
	name := m.text(n)
	if known := m.constants[name]; known != nil {
		if known.busy {
			return unknown("`%s` is assigned from itself (%s)", name, m.cite(m.line(n)))
		}
		return known.value
	}
	value, why := m.assigned(name, n)
	if why != "" {
		return Value{Why: why}
	}
	memory := &constant{busy: true}
	m.constants[name] = memory
	memory.value, memory.busy = m.evaluate(value, depth+1), false
	if v := memory.value; v.Kind >= List {
		if c, changed := m.mutated[name]; changed {
			memory.value = unknown("`%s` %s (%s)", name, c.how, m.cite(c.line))
		}
	}
	return memory.value
}

// assigned finds the one expression that a name is assigned, or says why there
// is none.
func (m *Module) assigned(name string, use *node) (value *node, why string) {
	bindings := m.bindings[name]
	if len(bindings) == 0 {
		return nil, fmt.Sprintf("`%s` is not assigned in the file (%s)", name, m.cite(m.line(use)))
	}
	b := bindings[0]
	place := m.cite(b.line)
	switch {
	case len(bindings) > 1:
		return nil, fmt.Sprintf("`%s` is assigned more than once (%s, %s)", name, place, m.cite(bindings[1].line))
	case b.kind == bindImport:
		return nil, fmt.Sprintf("`%s` is imported (%s)", name, place)
	case b.kind == bindClass, b.kind == bindFunction:
		return nil, fmt.Sprintf("`%s` is a definition (%s)", name, place)
	case b.kind == bindOther:
		return nil, fmt.Sprintf("`%s` %s (%s)", name, b.how, place)
	case b.within != "":
		return nil, fmt.Sprintf("`%s` is assigned inside a block of `%s` (%s)", name, b.within, place)
	case b.line > m.line(use):
		return nil, fmt.Sprintf("`%s` is assigned only later (%s)", name, place)
	}
	return b.node, m.rebound(name, b.line)
}

// rebound says why an assignment may not be the last: a star import below it, or
// a function that assigns the global name.
func (m *Module) rebound(name string, line int) string {
	for _, star := range m.stars {
		if star.line > line {
			return fmt.Sprintf("`%s` may be replaced by the star import (%s)", name, m.cite(star.line))
		}
	}
	if c, changed := m.mutated[name]; changed && c.rebinds {
		return fmt.Sprintf("`%s` %s (%s)", name, c.how, m.cite(c.line))
	}
	return ""
}

func boolean(b bool) Value { return Value{Kind: Bool, Bool: b} }

func unknown(format string, args ...any) Value {
	return Value{Kind: Unknown, Why: fmt.Sprintf(format, args...)}
}
