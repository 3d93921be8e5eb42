package python

import (
	"math/big"
	"strconv"
	"strings"
)

func (m *Module) integer(n *node) Value {
	text := m.text(n)
	if i, err := strconv.ParseInt(text, 0, 64); err == nil && !strings.HasPrefix(text, "00") {
		return Value{Kind: Int, Int: i}
	}
	digits := strings.ReplaceAll(text, "_", "")
	if strings.Trim(digits, "0") == "" {
		return Value{Kind: Int} // 00 is 0
	}
	return unknown("the number %s is not an integer of 64 bits (%s)", excerpt([]byte(text)), m.cite(m.line(n)))
}

func (m *Module) float(n *node) Value {
	text := m.text(n)
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil && !isRange(err) {
		return unknown("the number %s is not read (%s)", excerpt([]byte(text)), m.cite(m.line(n)))
	}
	return Value{Kind: Float, Float: f}
}

func isRange(err error) bool { return strings.HasSuffix(err.Error(), strconv.ErrRange.Error()) }

// fit makes an Int of a result that may be too large for one.
func (m *Module) fit(n *node, i *big.Int) Value {
	if !i.IsInt64() {
		return unknown("the result of `%s` is not an integer of 64 bits (%s)", m.short(n), m.cite(m.line(n)))
	}
	return Value{Kind: Int, Int: i.Int64()}
}

// sequence evaluates a list, tuple or set.
func (m *Module) sequence(n *node, depth int) Value {
	kind := map[string]Kind{"list": List, "tuple": Tuple, "expression_list": Tuple, "set": Set}[n.kind]
	out := Value{Kind: kind, Items: []Value{}}
	for _, part := range n.parts() {
		item := part
		if part.kind == "list_splat" && len(part.parts()) == 1 {
			item = part.parts()[0]
		}
		v := m.evaluate(item, depth+1)
		switch {
		case item == part:
			out.Items = append(out.Items, v)
		case v.Kind == List, v.Kind == Tuple, v.Kind == Set:
			out.Items = append(out.Items, v.Items...)
		case v.Kind == Unknown:
			return v
		default:
			return m.opaque(part)
		}
		if len(out.Items) > maxMember {
			return m.tooLarge(n)
		}
	}
	if kind == Set {
		return m.unique(n, out.Items)
	}
	return out
}

// unique makes a set in the order of first appearance.
func (m *Module) unique(n *node, items []Value) Value {
	out := Value{Kind: Set, Items: []Value{}}
	seen := map[string]bool{}
	for _, item := range items {
		if item.Kind == Unknown {
			return item
		}
		if !item.hashable() {
			return m.fails(n, "unhashable type: '"+item.Kind.String()+"'")
		}
		if !seen[item.key()] {
			seen[item.key()] = true
			out.Items = append(out.Items, item)
		}
	}
	return out
}

// dictionary evaluates {key: value, **other}.
func (m *Module) dictionary(n *node, depth int) Value {
	out := newMapping()
	for _, part := range n.parts() {
		switch part.kind {
		case "pair":
			key := m.evaluate(part.child("key"), depth+1)
			if key.Kind == Unknown || !key.hashable() {
				out.mergeUnknown(m.because(key, part))
				continue
			}
			out.set(key, m.evaluate(part.child("value"), depth+1))
		case "dictionary_splat":
			m.splat(out, part, depth)
		}
		if len(out.Entries) > maxMember {
			return m.tooLarge(n)
		}
	}
	return Value{Kind: Dict, Dict: out}
}

// splat merges "**expression" into a mapping.
func (m *Module) splat(into *Mapping, part *node, depth int) {
	parts := part.parts()
	if len(parts) != 1 {
		into.mergeUnknown(m.opaque(part))
		return
	}
	v := m.evaluate(parts[0], depth+1)
	if v.Kind == Dict {
		into.merge(v.Dict)
		return
	}
	into.mergeUnknown(m.because(v, part))
}

// because returns an Unknown for a part: v's own reason when v is Unknown.
func (m *Module) because(v Value, part *node) Value {
	if v.Kind != Unknown {
		v = m.opaque(part)
	}
	v.Line = m.line(part)
	return v
}

func (m *Module) tooLarge(n *node) Value {
	return unknown("the result of `%s` is too large to evaluate (%s)", m.short(n), m.cite(m.line(n)))
}

// fails is a value that Python would not compute: the run-time error is the
// author's to see where the file runs, here the value is merely not constant.
func (m *Module) fails(n *node, why string) Value {
	return unknown("`%s` fails: %s (%s)", m.short(n), why, m.cite(m.line(n)))
}

// subscript evaluates NAME["key"] and NAME[0] on constants.
func (m *Module) subscript(n *node, depth int) Value {
	var keys []*node
	for _, c := range n.children {
		if c.field == "subscript" {
			keys = append(keys, c)
		}
	}
	base := m.evaluate(n.child("value"), depth+1)
	if base.Kind == Unknown {
		return base
	}
	if len(keys) != 1 || keys[0].kind == "slice" {
		return m.opaque(n)
	}
	key := m.evaluate(keys[0], depth+1)
	switch {
	case key.Kind == Unknown:
		return key
	case base.Kind == Dict && key.hashable():
		return m.item(n, base.Dict, key)
	case (base.Kind == List || base.Kind == Tuple) && (key.Kind == Int || key.Kind == Bool):
		return m.element(n, base.Items, key.integer())
	}
	return m.opaque(n)
}

func (m *Module) item(n *node, d *Mapping, key Value) Value {
	if at, found := d.index[key.key()]; found {
		return d.Entries[at].Value
	}
	if d.Rest != nil {
		return *d.Rest
	}
	return m.fails(n, "KeyError: "+key.Repr())
}

func (m *Module) element(n *node, items []Value, at int64) Value {
	if at < 0 {
		at += int64(len(items))
	}
	if at < 0 || at >= int64(len(items)) {
		return m.fails(n, "IndexError: index out of range")
	}
	return items[at]
}
