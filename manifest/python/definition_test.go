package python

import (
	"fmt"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	m := parse(t, `
from ray import serve
import ray.serve as rs
import ray
from other import Imported
try:
    from ray.serve import deployment as d
except ImportError:
    d = None

def local(cls):
    return cls

@serve.deployment(num_replicas=2)
@local
class Main:
    pass

@rs.deployment
class Second: pass

@ray.serve.deployment
class Third: pass

@d
class Fourth: pass

Made = make(Main)
Called = serve.deployment(num_replicas=3)(Main)
Other = Main
deploy = serve.deployment
@deploy()
class Fifth: pass

if x:
    class Maybe: pass
else:
    class Maybe: pass

class Twice: pass
@d
class Twice: pass

number = 3
`)
	cases := []struct{ name, want string }{
		{"Main", "class@16 ray.serve.deployment()+?"},
		{"Second", "class@20 ray.serve.deployment"},
		{"Third", "class@23 ray.serve.deployment"},
		{"Fourth", "class@26 ray.serve.deployment"},
		{"Fifth", "class@33 ray.serve.deployment()"},
		{"Made", "call@28 ?(Main)"},
		{"Called", "call@29 ?(Main) of ray.serve.deployment"},
		{"Other", "opaque `Other` is another name for `Main` (main.py:30)"},
		{"Imported", "opaque `Imported` is imported (main.py:5)"},
		{"Maybe", "opaque `Maybe` is bound more than once (main.py:36, main.py:38)"},
		{"Twice", "class@42 ray.serve.deployment"},
		{"number", "opaque `number` is not made by a class statement (main.py:44)"},
		{"local", "opaque `local` is not made by a class statement (main.py:11)"},
		{"Absent", "absent"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := describe(m, c.name); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func describe(m *Module, name string) string {
	d, ok := m.Lookup(name)
	if !ok {
		return "absent"
	}
	known := func(name string) string {
		if name == "" {
			return "?"
		}
		return name
	}
	switch d.Form {
	case FormClass:
		var names []string
		for _, dec := range d.Decorators {
			text := known(dec.Name)
			if dec.Call != nil {
				text += "()"
			}
			names = append(names, text)
		}
		return fmt.Sprintf("class@%d %s", d.Line, strings.Join(names, "+"))
	case FormCall:
		text := fmt.Sprintf("call@%d %s(%s)", d.Line, known(d.Call.Name), strings.Join(d.Call.Operands, ","))
		if d.Call.Inner != nil {
			text += " of " + d.Call.Inner.Name
		}
		return text
	}
	return "opaque " + d.Why
}

func TestSignature(t *testing.T) {
	head := "from ray.serve.handle import DeploymentHandle as DH\nfrom ray.serve import handle\nfrom typing import List, Optional\nimport abc\n"
	cases := []struct{ name, text, want string }{
		{"own", "class A:\n    def __init__(self, a, b: int = 1, *args, c: 'str', **kw): pass", "a b:int=<builtins.int> *args c!:'str'<builtins.str> **kw"},
		{"none", "class A:\n    x = 1", ""},
		{"separators", "class A:\n    def __init__(self, a, /, b, *, c): pass", "a/ b c!"},
		{"inherited", "class B:\n    def __init__(self, a): pass\nclass A(B):\n    pass", "a"},
		{"inherited_twice", "class C:\n    def __init__(self, a): pass\nclass B(C): pass\nclass A(B, abc.ABC): pass", "a"},
		{"own_wins_over_unknown_base", "class A(Unknown):\n    def __init__(self, a): pass", "a"},
		{"unknown_base", "class A(Unknown):\n    pass", "unknown"},
		{"metaclass", "class A(metaclass=Meta):\n    pass", "unknown"},
		{"decorated", "class A:\n    @wrap\n    def __init__(self, a): pass", "unknown"},
		{"conditional", "class A:\n    if x:\n        def __init__(self, a): pass", "unknown"},
		{"assigned", "class A:\n    __init__ = other", "unknown"},
		{"new", "class A:\n    def __new__(cls, a): pass", "unknown"},
		{"handles", "class A:\n    def __init__(self, a: DH, b: 'DH', c: handle.DeploymentHandle, d: 'DeploymentHandle', e: Optional[DH]): pass",
			"a:DH<ray.serve.handle.DeploymentHandle> b:'DH'<ray.serve.handle.DeploymentHandle> c:handle.DeploymentHandle<ray.serve.handle.DeploymentHandle> d:'DeploymentHandle'<> e:Optional[DH]<typing.Optional>"},
		{"generics", "class A:\n    def __init__(self, a: list[int], b: List[str], c: int | None, d: None): pass",
			"a:list[int]<builtins.list> b:List[str]<typing.List> c:int | None<> d:None<builtins.None>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, head+c.text+"\n")
			d, ok := m.Lookup("A")
			if !ok {
				t.Fatal("A not found")
			}
			if got := signatureText(m.Signature(d)); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func signatureText(s Signature) string {
	if !s.Known {
		return "unknown"
	}
	var parts []string
	for _, p := range s.Params {
		text := map[ParamKind]string{VarPositional: "*", VarKeyword: "**"}[p.Kind] + p.Name +
			map[ParamKind]string{PositionalOnly: "/", KeywordOnly: "!"}[p.Kind]
		if p.Annotation != "" {
			annotation := p.Annotation
			if p.Quoted {
				annotation = "'" + annotation + "'"
			}
			text += ":" + annotation
		}
		if p.HasDefault {
			text += "="
		}
		if p.Annotation != "" {
			text += "<" + p.Type + ">"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestSignature_postponed_annotations_count_as_text(t *testing.T) {
	m := parse(t, "from __future__ import annotations\nclass A:\n    def __init__(self, a: int): pass\n")
	d, _ := m.Lookup("A")
	if p := m.Signature(d).Params[0]; !p.Quoted || p.Type != "builtins.int" {
		t.Errorf("got %+v", p)
	}
}

func TestMethods(t *testing.T) {
	head := "from hypha_rpc.utils.schema import schema_method as sm\nfrom hypha_rpc.utils import schema\nimport functools\n"
	cases := []struct{ name, text, want string }{
		{"sorted", "class A:\n    @sm\n    def b(self): pass\n    @schema.schema_method\n    async def a(self): pass\n    def c(self): pass", "a b known"},
		{"called", "class A:\n    @sm(arbitrary_types_allowed=True)\n    def b(self): pass", "b known"},
		{"none", "class A:\n    @staticmethod\n    def c(self): pass", "known"},
		{"unknown_decorator", "class A:\n    @wrap\n    def c(self): pass", "unknown"},
		{"assigned", "class A:\n    def c(self): pass\n    d = sm(c)", "d known"},
		{"assigned_unknown", "class A:\n    d = make()", "unknown"},
		{"inherited", "class B:\n    @sm\n    def b(self): pass\n    @sm\n    def c(self): pass\nclass A(B):\n    def c(self): pass", "b known"},
		{"unknown_base", "class A(Base):\n    @sm\n    def b(self): pass", "b unknown"},
		{"set_later", "class A:\n    pass\nsetattr(A, 'b', sm(f))", "unknown"},
		{"set_later_as_attribute", "class A:\n    pass\nA.b = sm(f)", "unknown"},
		{"documented", "class A:\n    \"\"\"Doc.\"\"\"\n    size: int\n    limit: int = 3\n    @sm\n    def b(self): pass", "b known"},
		{"set_by_name", "class A:\n    locals()['b'] = sm(f)", "unknown"},
		{"set_by_call", "class A:\n    fill(vars())", "unknown"},
		{"conditional", "class A:\n    if x:\n        @sm\n        def b(self): pass", "unknown"},
	}
	wanted := func(name string) bool { return name == "hypha_rpc.utils.schema.schema_method" }
	harmless := func(name string) bool { return strings.HasPrefix(name, "builtins.") }
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, head+c.text+"\n")
			d, _ := m.Lookup("A")
			methods := m.Methods(d, wanted, harmless)
			got := append([]string{}, methods.Names...)
			got = append(got, map[bool]string{true: "known", false: "unknown"}[methods.Known])
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
}
