package python

import (
	"slices"
	"strings"
)

// ParamKind is the way a parameter takes its argument.
type ParamKind int

const (
	Positional ParamKind = iota // by position or by name
	PositionalOnly
	KeywordOnly
	VarPositional // *args
	VarKeyword    // **kwargs
)

// Param is one parameter of a function.
type Param struct {
	Name       string
	Kind       ParamKind
	HasDefault bool
	Annotation string // its text, without the quotes of a string; "" when absent
	Quoted     bool   // a string, or postponed: not evaluated by the definition
	Type       string // the dotted name the annotation resolves to, "" when unknown
	Line       int
}

// Signature is what a class statement says about calling the class.
type Signature struct {
	Params []Param // without self
	Known  bool    // false when bases, decorators or blocks hide the signature
}

// Methods are names of methods that carry a certain decorator.
type Methods struct {
	Names []string // in alphabetical order, as Python's inspect lists members
	Known bool     // false when there may be more
}

// member is what a class body says about one name.
type member struct {
	node       *node // the function_definition; nil for anything else
	decorators []Decorator
	callee     string // NAME = f(...): the dotted name of f
	opaque     bool   // defined in a block, or twice with a decorator in between
}

// ancestry returns the class and its bases in this file, the class first, in
// the order of the method resolution of simple trees. complete is false when a
// base or a metaclass is not visible here.
func (m *Module) ancestry(class *node) (classes []*node, complete bool) {
	complete = true
	for queue := []*node{class}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		if slices.Contains(classes, n) {
			continue
		}
		classes = append(classes, n)
		bases := n.child("superclasses")
		if bases == nil {
			continue
		}
		for _, base := range bases.parts() {
			found, ok := m.base(base)
			complete = complete && ok
			if found != nil {
				queue = append(queue, found)
			}
		}
	}
	return classes, complete
}

// base returns the class statement of one base. Bases that add neither methods
// nor a constructor are complete without one.
func (m *Module) base(n *node) (class *node, ok bool) {
	switch n.kind {
	case "subscript":
		n = n.child("value")
	case "keyword_argument": // metaclass=, or arguments of __init_subclass__
		return nil, m.resolve(n.child("value")) == "abc.ABCMeta"
	}
	switch m.resolve(n) {
	case "builtins.object", "typing.Generic", "typing.Protocol", "abc.ABC":
		return nil, true
	}
	if n.kind != "identifier" {
		return nil, false
	}
	bindings := m.bindings[m.text(n)]
	if len(bindings) != 1 || bindings[0].kind != bindClass || bindings[0].within != "" {
		return nil, false
	}
	return bindings[0].node, bindings[0].outer == nil
}

// members reads a class body. complete is false when a block or an expression
// may define members out of sight.
func (m *Module) members(class *node) (out map[string]member, complete bool) {
	out, complete = map[string]member{}, true
	body := class.child("body")
	if body == nil {
		return out, false
	}
	for _, statement := range body.children {
		if !m.addMember(out, statement) {
			complete = false
		}
	}
	return out, complete
}

// addMember returns false for statements whose effect on the class is unknown.
func (m *Module) addMember(out map[string]member, n *node) bool {
	switch n.kind {
	case "function_definition", "class_definition":
		return m.addFunction(out, n, nil)
	case "decorated_definition":
		var decorators []Decorator
		for _, c := range n.children {
			if c.kind == "decorator" {
				decorators = append(decorators, m.decorator(c))
			}
		}
		return m.addFunction(out, n.child("definition"), decorators)
	case "expression_statement":
		known := true
		for _, c := range n.children {
			known = m.addExpression(out, c) && known
		}
		return known
	case "if_statement", "for_statement", "while_statement", "try_statement", "with_statement", "match_statement",
		"import_statement", "import_from_statement", "delete_statement":
		return false
	}
	return true
}

func (m *Module) addFunction(out map[string]member, n *node, decorators []Decorator) bool {
	if n == nil || n.child("name") == nil {
		return false
	}
	added := member{decorators: decorators}
	if n.kind == "function_definition" {
		added.node = n
	}
	out[m.text(n.child("name"))] = added
	return true
}

// addExpression reads one expression of a class body; a docstring and plain
// annotations define nothing, NAME = value is a member.
func (m *Module) addExpression(out map[string]member, n *node) bool {
	switch n.kind {
	case "string", "concatenated_string", "ellipsis", ";":
		return true
	case "assignment":
	default:
		return false
	}
	left, value := n.child("left"), n.child("right")
	if left == nil || left.kind != "identifier" {
		return false
	}
	if value == nil {
		return true
	}
	added := member{opaque: value.kind == "identifier" || value.kind == "attribute"}
	if value.kind == "call" {
		added.callee = m.resolve(value.child("function"))
		added.opaque = added.callee == ""
	}
	out[m.text(left)] = added
	return true
}

// Methods returns the methods of a class and its bases that carry a decorator
// that is wanted. The decorators that are known to hide none, such as
// staticmethod, are harmless; any other may.
func (m *Module) Methods(d Definition, wanted, harmless func(dotted string) bool) Methods {
	if d.class == nil {
		return Methods{}
	}
	classes, complete := m.ancestry(d.class)
	if _, changed := m.mutated[d.Name]; changed {
		complete = false
	}
	seen := map[string]bool{}
	result := Methods{Known: complete}
	for _, class := range classes {
		members, whole := m.members(class)
		result.Known = result.Known && whole
		for name, found := range members {
			if seen[name] {
				continue
			}
			seen[name] = true
			is, known := found.wanted(wanted, harmless)
			if is {
				result.Names = append(result.Names, name)
			}
			result.Known = result.Known && known
		}
	}
	slices.Sort(result.Names)
	return result
}

func (f member) wanted(wanted, harmless func(string) bool) (is, known bool) {
	known = !f.opaque
	if f.callee != "" && wanted(f.callee) {
		return true, true
	}
	if f.callee != "" && !harmless(f.callee) && !strings.HasPrefix(f.callee, "builtins.") {
		known = false
	}
	for _, d := range f.decorators {
		switch {
		case wanted(d.Name):
			return true, true
		case !harmless(d.Name):
			known = false
		}
	}
	return false, known
}

// Signature returns the constructor's parameters, found in the class or the
// first base that has an __init__.
func (m *Module) Signature(d Definition) Signature {
	if d.class == nil {
		return Signature{}
	}
	classes, complete := m.ancestry(d.class)
	for _, class := range classes {
		members, whole := m.members(class)
		init, found := members["__init__"]
		_, made := members["__new__"]
		switch {
		case made:
			return Signature{}
		case found && init.node != nil && len(init.decorators) == 0 && whole && class == d.class:
			return Signature{Params: m.params(init.node), Known: true}
		case found && init.node != nil && len(init.decorators) == 0 && whole && complete:
			return Signature{Params: m.params(init.node), Known: true}
		case found || !whole:
			return Signature{}
		}
	}
	return Signature{Known: complete}
}
