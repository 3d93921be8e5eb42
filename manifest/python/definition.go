package python

// Form says how a name that is to hold a class gets its object.
type Form int

const (
	FormClass  Form = iota // by a class statement
	FormCall               // NAME = f(...): a factory, or a decorator called by hand
	FormOpaque             // by an import, a loop, several statements, …
)

// Definition is what a module says about one of its names.
type Definition struct {
	Name       string
	Form       Form
	Line       int
	Decorators []Decorator // FormClass, the outermost first
	Call       *Call       // FormCall
	Why        string      // FormOpaque: the cause with its place
	Doubt      string      // any form: why another object may take the name later, or ""

	class *node
}

// Decorator is one line "@name" or "@name(...)" above a class or function.
type Decorator struct {
	Name string // the dotted name it resolves to, "" when unknown
	Text string
	Call *Call // nil for a bare "@name"
	Line int
}

// Call is a call expression whose arguments have been evaluated.
type Call struct {
	Name string // the dotted name of what is called, "" when unknown
	Text string
	Arguments
	Inner    *Call    // f(...)(x): the call that gave the function
	Operands []string // the names given as plain positional arguments, "" for others
}

// Lookup returns what the module says about a name; ok is false when nothing at
// module level binds it. A name bound more than once stands for its last
// unconditional class statement, if that is the last binding.
func (m *Module) Lookup(name string) (d Definition, ok bool) {
	bindings := m.bindings[name]
	if len(bindings) == 0 {
		line, why := m.hidden(0)
		return Definition{Name: name, Form: FormOpaque, Line: line, Why: why}, why != ""
	}
	last := bindings[len(bindings)-1]
	d = Definition{Name: name, Line: last.line}
	_, d.Doubt = m.hidden(last.line)
	switch {
	case len(bindings) > 1 && last.within != "":
		d.Form, d.Why = FormOpaque, "`"+name+"` is bound more than once ("+m.cite(bindings[0].line)+", "+m.cite(last.line)+")"
	case last.kind == bindClass:
		m.describeClass(&d, last)
	case last.kind == bindAssign && last.node.kind == "call":
		d.Form, d.Call = FormCall, m.describeCall(last.node)
	case last.kind == bindAssign && last.node.kind == "identifier" && m.text(last.node) != name:
		d.Form, d.Why = FormOpaque, "`"+name+"` is another name for `"+m.text(last.node)+"` ("+m.cite(last.line)+")"
	case last.kind == bindImport:
		d.Form, d.Why = FormOpaque, "`"+name+"` is imported ("+m.cite(last.line)+")"
	default:
		d.Form, d.Why = FormOpaque, "`"+name+"` is not made by a class statement ("+m.cite(last.line)+")"
	}
	return d, true
}

// hidden finds what may bind any name below a line without being seen: a star
// import, or exec and the like. Without any, why is "".
func (m *Module) hidden(below int) (line int, why string) {
	for _, s := range m.stars {
		if s.line > below {
			return s.line, "it may come from the star import (" + m.cite(s.line) + ")"
		}
	}
	if m.dynamic > below {
		return m.dynamic, "the file binds names as it runs (" + m.cite(m.dynamic) + ")"
	}
	return 0, ""
}

// LookupClass returns the only class statement for a name, whatever else binds
// the name: the Main in "Main = decorate(Main)".
func (m *Module) LookupClass(name string) (d Definition, ok bool) {
	for _, b := range m.bindings[name] {
		if b.kind != bindClass {
			continue
		}
		if ok {
			return Definition{}, false
		}
		d, ok = Definition{Name: name, Line: b.line}, true
		m.describeClass(&d, b)
	}
	return d, ok
}

func (m *Module) describeClass(d *Definition, b binding) {
	d.class = b.node
	if b.outer == nil {
		return
	}
	for _, c := range b.outer.children {
		if c.kind == "decorator" {
			d.Decorators = append(d.Decorators, m.decorator(c))
		}
	}
}

func (m *Module) decorator(n *node) Decorator {
	d := Decorator{Line: m.line(n)}
	parts := n.parts()
	if len(parts) != 1 {
		return d
	}
	expression := parts[0]
	d.Text = m.short(expression)
	if expression.kind == "call" {
		d.Call = m.describeCall(expression)
		d.Name = d.Call.Name
		return d
	}
	d.Name = m.resolve(expression)
	return d
}

func (m *Module) describeCall(n *node) *Call {
	call := &Call{Name: m.resolve(n.child("function")), Text: m.short(n)}
	call.Line = m.line(n)
	if inner := n.child("function"); inner != nil && inner.kind == "call" && inner.child("function").kind != "call" {
		call.Inner = m.describeCall(inner)
	}
	list := n.child("arguments")
	if list == nil || list.kind != "argument_list" {
		call.Keywords = newMapping()
		return call
	}
	call.Arguments = m.arguments(list, 0)
	for _, part := range list.parts() {
		switch part.kind {
		case "keyword_argument", "dictionary_splat":
		case "identifier":
			call.Operands = append(call.Operands, m.text(part))
		default:
			call.Operands = append(call.Operands, "")
		}
	}
	return call
}
