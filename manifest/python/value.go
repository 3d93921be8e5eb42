package python

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is the Python type of a constant, or Unknown.
type Kind int

const (
	Unknown Kind = iota // known only at run time; Why says because of what
	None
	Bool
	Int
	Float
	Str
	List
	Tuple
	Set
	Dict
)

var kindNames = map[Kind]string{
	None: "NoneType", Bool: "bool", Int: "int", Float: "float", Str: "str", List: "list", Tuple: "tuple", Set: "set", Dict: "dict",
}

// String is the name Python gives the type.
func (k Kind) String() string { return kindNames[k] }

// Value is the result of evaluating an expression. Containers may hold Unknown
// members; a scalar made from something Unknown is Unknown itself.
type Value struct {
	Kind  Kind
	Bool  bool
	Int   int64 // larger integers are Unknown
	Float float64
	Str   string
	Items []Value  // List, Tuple, Set
	Dict  *Mapping // Dict
	Line  int      // of the expression, from 1
	Why   string   // Unknown: the cause with its place, for "known only at run time because …"
	size  int      // see weigh
}

// weigh sets the size of a value whose members have theirs: what writing it out
// would cost. Names may refer to one another, so a short file can make a value
// that is small in memory and endless when written.
func (v *Value) weigh() {
	v.size = 1 + len(v.Str)/16
	for _, item := range v.Items {
		v.size = min(v.size+item.size, maxSize+1)
	}
	if v.Dict != nil {
		for _, e := range v.Dict.Entries {
			v.size = min(v.size+e.Key.size+e.Value.size, maxSize+1)
		}
	}
}

// Mapping is a dictionary in the order of its keys.
type Mapping struct {
	Entries []Entry
	// Rest is set when a part of the dictionary is unknown ("**options()"): a key
	// that is not among Entries may be present or not.
	Rest  *Value
	index map[string]int
}

// Entry is one key with its value.
type Entry struct{ Key, Value Value }

func newMapping() *Mapping { return &Mapping{index: map[string]int{}} }

// Obscure returns a dictionary of which nothing is known but why.
func Obscure(v Value) *Mapping { return &Mapping{Rest: &v, index: map[string]int{}} }

// Get returns the value of a string key. A key that an unknown part may hold is
// Unknown; ok is false when the key is certainly absent.
func (d *Mapping) Get(key string) (v Value, ok bool) {
	if at, found := d.index[Value{Kind: Str, Str: key}.key()]; found {
		return d.Entries[at].Value, true
	}
	if d.Rest != nil {
		return *d.Rest, true
	}
	return Value{}, false
}

func (d *Mapping) set(key, value Value) {
	if at, found := d.index[key.key()]; found {
		d.Entries[at].Value = value
		return
	}
	d.index[key.key()] = len(d.Entries)
	d.Entries = append(d.Entries, Entry{Key: key, Value: value})
}

// merge applies "**other", which wins over what is there already.
func (d *Mapping) merge(other *Mapping) {
	if other.Rest != nil {
		d.mergeUnknown(*other.Rest)
	}
	for _, e := range other.Entries {
		d.set(e.Key, e.Value)
	}
}

// mergeUnknown applies a "**" of something unknown: any key may be replaced.
func (d *Mapping) mergeUnknown(v Value) {
	d.Rest = &v
	for i := range d.Entries {
		d.Entries[i].Value = v
	}
}

// key is equal for values that are equal as dictionary keys (1 == 1.0 == True).
func (v Value) key() string {
	switch v.Kind {
	case Bool, Int:
		return "n" + strconv.FormatInt(v.integer(), 10)
	case Float:
		if v.Float == math.Trunc(v.Float) && math.Abs(v.Float) < 1<<53 {
			return "n" + strconv.FormatInt(int64(v.Float), 10)
		}
		return "f" + strconv.FormatFloat(v.Float, 'g', -1, 64)
	case Str:
		return "s" + v.Str
	case Tuple:
		var b strings.Builder
		for _, item := range v.Items {
			key := item.key()
			fmt.Fprintf(&b, "%d:%s", len(key), key)
		}
		return "t" + b.String()
	}
	return v.Kind.String()
}

// hashable reports whether a value may be a key or a set member.
func (v Value) hashable() bool {
	switch v.Kind {
	case Unknown, List, Set, Dict:
		return false
	case Tuple:
		for _, item := range v.Items {
			if !item.hashable() {
				return false
			}
		}
	}
	return true
}

func (v Value) isNumber() bool { return v.Kind == Bool || v.Kind == Int || v.Kind == Float }

// integer is the value of an Int or Bool.
func (v Value) integer() int64 {
	if v.Kind == Bool {
		if v.Bool {
			return 1
		}
		return 0
	}
	return v.Int
}

// number is the value of any number.
func (v Value) number() float64 {
	if v.Kind == Float {
		return v.Float
	}
	return float64(v.integer())
}

// truth is Python's truth value.
func (v Value) truth() bool {
	switch v.Kind {
	case Bool, Int:
		return v.integer() != 0
	case Float:
		return v.Float != 0
	case Str:
		return v.Str != ""
	case List, Tuple, Set:
		return len(v.Items) > 0
	case Dict:
		return len(v.Dict.Entries) > 0
	}
	return false
}

// Repr writes a value the way Python's repr does.
func (v Value) Repr() string {
	switch v.Kind {
	case None:
		return "None"
	case Bool:
		if v.Bool {
			return "True"
		}
		return "False"
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Float:
		return floatRepr(v.Float)
	case Str:
		return Quote(v.Str)
	case List:
		return "[" + reprItems(v.Items) + "]"
	case Tuple:
		if len(v.Items) == 1 {
			return "(" + v.Items[0].Repr() + ",)"
		}
		return "(" + reprItems(v.Items) + ")"
	case Set:
		if len(v.Items) == 0 {
			return "set()"
		}
		return "{" + reprItems(v.Items) + "}"
	case Dict:
		var parts []string
		for _, e := range v.Dict.Entries {
			parts = append(parts, e.Key.Repr()+": "+e.Value.Repr())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "…"
}

func reprItems(items []Value) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.Repr()
	}
	return strings.Join(parts, ", ")
}

// floatRepr is Python's repr of a float: shortest digits, with a point.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// Quote writes a text as a Python string literal.
func Quote(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	body := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, quote, `\`+quote).Replace(s)
	return quote + body + quote
}
