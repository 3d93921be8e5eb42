package python

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Arguments are the evaluated arguments of a call.
type Arguments struct {
	Positional []Value
	Keywords   *Mapping // Rest is set by "**" of something unknown
	Line       int
}

// arguments evaluates an argument_list. "*" of something unknown gives one
// Unknown positional argument.
func (m *Module) arguments(n *node, depth int) Arguments {
	out := Arguments{Keywords: newMapping(), Line: m.line(n)}
	for _, part := range n.parts() {
		switch part.kind {
		case "keyword_argument":
			key := Value{Kind: Str, Str: m.text(part.child("name")), Line: m.line(part)}
			out.Keywords.set(key, m.evaluate(part.child("value"), depth+1))
		case "dictionary_splat":
			m.splatKeywords(out.Keywords, part, depth)
		case "list_splat":
			out.Positional = append(out.Positional, m.because(m.opaque(part), part))
		default:
			out.Positional = append(out.Positional, m.evaluate(part, depth+1))
		}
	}
	return out
}

// splatKeywords adds "**expression" to keywords. Unlike in a dictionary it can
// replace nothing: Python refuses a keyword that is given twice.
func (m *Module) splatKeywords(into *Mapping, part *node, depth int) {
	more := newMapping()
	m.splat(more, part, depth)
	for _, e := range more.Entries {
		if _, given := into.index[e.Key.key()]; !given {
			into.set(e.Key, e.Value)
		}
	}
	if more.Rest != nil {
		into.Rest = more.Rest
	}
}

// call evaluates the few builtins that make constants, and record classes.
func (m *Module) call(n *node, depth int) Value {
	list := n.child("arguments")
	callee := m.resolve(n.child("function"))
	if list == nil || list.kind != "argument_list" {
		return m.called(n)
	}
	if slices.Contains(m.records, callee) {
		if args := m.arguments(list, depth); len(args.Positional) == 0 {
			return Value{Kind: Dict, Dict: args.Keywords}
		}
		return m.called(n)
	}
	builtin, ok := strings.CutPrefix(callee, "builtins.")
	if !ok {
		return m.called(n)
	}
	args := m.arguments(list, depth)
	if builtin == "dict" {
		return m.callDict(n, args)
	}
	if args.Keywords.Rest != nil || len(args.Keywords.Entries) > 0 {
		return m.called(n)
	}
	for _, v := range args.Positional {
		if v.Kind == Unknown {
			return v
		}
	}
	return m.callBuiltin(n, builtin, args.Positional)
}

func (m *Module) called(n *node) Value {
	return unknown("`%s` is called when the file runs (%s)", m.short(n), m.cite(m.line(n)))
}

func (m *Module) callDict(n *node, args Arguments) Value {
	out := newMapping()
	switch {
	case len(args.Positional) == 0:
	case len(args.Positional) == 1 && args.Positional[0].Kind == Dict:
		out.merge(args.Positional[0].Dict)
	case len(args.Positional) == 1 && args.Positional[0].Kind == Unknown:
		out.mergeUnknown(args.Positional[0])
	default:
		return m.called(n)
	}
	out.merge(args.Keywords)
	return Value{Kind: Dict, Dict: out}
}

func (m *Module) callBuiltin(n *node, name string, args []Value) Value {
	switch name {
	case "list", "tuple", "set":
		return m.callContainer(n, name, args)
	case "min", "max":
		return m.callExtreme(n, name, args)
	case "round":
		return m.callRound(n, args)
	}
	if len(args) != 1 {
		return m.called(n)
	}
	switch v := args[0]; name {
	case "bool":
		return boolean(v.truth())
	case "str":
		return m.toText(n, v)
	case "int":
		return m.callInt(n, v)
	case "float":
		return m.callFloat(n, v)
	}
	return m.called(n)
}

func (m *Module) callInt(n *node, v Value) Value {
	switch v.Kind {
	case Int, Bool:
		return Value{Kind: Int, Int: v.integer()}
	case Float:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return m.fails(n, "cannot convert "+v.Repr()+" to an integer")
		}
		whole, _ := big.NewFloat(v.Float).Int(nil)
		return m.fit(n, whole)
	case Str:
		digits := strings.TrimSpace(v.Str)
		if i, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return Value{Kind: Int, Int: i}
		}
		return m.fails(n, "invalid literal for int()")
	}
	return m.called(n)
}

func (m *Module) callFloat(n *node, v Value) Value {
	switch v.Kind {
	case Int, Bool, Float:
		return Value{Kind: Float, Float: v.number()}
	case Str:
		text := strings.TrimSpace(v.Str)
		if f, err := strconv.ParseFloat(text, 64); (err == nil || isRange(err)) && !strings.ContainsAny(text, "xXpP_") {
			return Value{Kind: Float, Float: f}
		}
		return m.fails(n, "could not convert string to float")
	}
	return m.called(n)
}

func (m *Module) callContainer(n *node, name string, args []Value) Value {
	items := []Value{}
	if len(args) == 1 {
		switch args[0].Kind {
		case List, Tuple, Set:
			items = slices.Clone(args[0].Items)
		default:
			return m.called(n)
		}
	}
	switch {
	case len(args) > 1:
		return m.called(n)
	case name == "set":
		return m.unique(n, items)
	}
	return Value{Kind: map[string]Kind{"list": List, "tuple": Tuple}[name], Items: items}
}

// callExtreme is min or max of several arguments or of one container.
func (m *Module) callExtreme(n *node, name string, args []Value) Value {
	if len(args) == 1 {
		if kind := args[0].Kind; kind != List && kind != Tuple && kind != Set {
			return m.called(n)
		}
		args = args[0].Items
	}
	if len(args) == 0 {
		return m.fails(n, name+"() of nothing")
	}
	best := args[0]
	for _, v := range args[1:] {
		order, ok := ordering(v, best)
		if !ok {
			return m.called(n)
		}
		if name == "min" && order < 0 || name == "max" && order > 0 {
			best = v
		}
	}
	return best
}

// callRound rounds half to even, as Python does; digits go through the exact
// decimal form.
func (m *Module) callRound(n *node, args []Value) Value {
	switch {
	case len(args) == 0 || len(args) > 2 || !args[0].isNumber():
		return m.called(n)
	case len(args) == 2 && args[1].Kind == None:
		args = args[:1]
	}
	v := args[0]
	switch {
	case len(args) == 1 && v.Kind != Float:
		return Value{Kind: Int, Int: v.integer()}
	case len(args) == 1:
		return m.callInt(n, Value{Kind: Float, Float: math.RoundToEven(v.Float)})
	case args[1].Kind != Int || args[1].Int < 0 || args[1].Int > 300:
		return m.called(n)
	case v.Kind != Float:
		return Value{Kind: Int, Int: v.integer()}
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v.Float, 'f', int(args[1].Int), 64), 64)
	if err != nil {
		return m.called(n)
	}
	return Value{Kind: Float, Float: rounded}
}
