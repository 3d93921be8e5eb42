package python

import "strings"

// params reads the parameters of a method, without its first (self).
func (m *Module) params(function *node) []Param {
	var out []Param
	kind := Positional
	list := function.child("parameters")
	if list == nil {
		return nil
	}
	for _, n := range list.children {
		switch n.kind {
		case "keyword_separator":
			kind = KeywordOnly
		case "positional_separator":
			for i := range out {
				out[i].Kind = PositionalOnly
			}
		default:
			p, ok := m.param(n)
			if !ok {
				continue
			}
			if p.Kind == Positional {
				p.Kind = kind
			}
			if p.Kind == VarPositional {
				kind = KeywordOnly
			}
			out = append(out, p)
		}
	}
	if len(out) > 0 && (out[0].Kind == Positional || out[0].Kind == PositionalOnly) {
		out = out[1:]
	}
	return out
}

func (m *Module) param(n *node) (p Param, ok bool) {
	p = Param{Line: m.line(n)}
	name := n
	switch n.kind {
	case "identifier", "list_splat_pattern", "dictionary_splat_pattern":
	case "default_parameter", "typed_default_parameter":
		p.HasDefault = true
		name = n.child("name")
	case "typed_parameter":
		name = n.parts()[0]
	default:
		return p, false
	}
	switch name.kind {
	case "list_splat_pattern":
		p.Kind = VarPositional
	case "dictionary_splat_pattern":
		p.Kind = VarKeyword
	}
	p.Name = strings.TrimLeft(m.text(name), "* ")
	m.annotate(&p, n.child("type"))
	return p, true
}

// annotate reads a parameter's annotation. Type is the origin of a subscripted
// one: list for list[int].
func (m *Module) annotate(p *Param, n *node) {
	if n == nil {
		return
	}
	for n.kind == "type" && len(n.parts()) == 1 {
		n = n.parts()[0]
	}
	p.Annotation, p.Quoted = m.text(n), m.postponed
	switch n.kind {
	case "string":
		p.Quoted = true
		p.Annotation = m.plainString(n)
		if isDotted(p.Annotation) {
			p.Type = m.resolveText(p.Annotation)
		}
	case "none":
		p.Type = "builtins.None"
	case "subscript":
		p.Type = m.resolve(n.child("value"))
	case "generic_type":
		p.Type = m.resolve(n.parts()[0])
	default:
		p.Type = m.resolve(n)
	}
}

func isDotted(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}
