package python

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// constants are expressions that must evaluate, each to what Python makes of it.
var constants = strings.Split(strings.TrimSpace(`
None
True
not True
12
1_000
0x1F
0o17
0b101
00
3.5
1e3
1_0.2_5
.5
5.
1e-7
1e22
1e400
-3
+True
~5
-(2**62) * 2
2 * 1024**3
0.5 * 1024**3
1 << 30
1 << 3 >> 1
-7 // 2
7 // -2
-7 % 3
7 % -3
-7.5 // 2
-7.5 % 2
7.5 % -2
1 / 4
4 / 2
2 ** -1
2 ** 0.5
0 ** 0
(-1) ** 1000001
1 ** 99999999999
0 << 9999999
6 & 3 | 8 ^ 1
"a" "b" 'c'
"a" + "b" * 3
'it\'s'
"tab\there\x41\u00e9\U0001F600\101\q\
end"
r"raw\n"
"""three
lines"""
u"u"
f"{1}+{'x'}{{}}{True}{None}{2.0}"
f"v{TORCH}"
[1, 2.0, "x", None]
(1,)
()
[*PIPS, "more"]
{1, 2, 1}
{"a": 1, **BASE, "b": {"c": [1]}}
{**BASE, "num_cpus": 8}
{1: "a", True: "b", 1.0: "c"}
dict(BASE, memory=3)
dict(a=1)
dict(**BASE)
BASE | {"x": 1}
list((1, 2))
tuple([1, 2])
set()
list()
int(2.9)
int(-2.9)
int("12")
int(True)
float("1.5")
float(3)
float("inf")
round(2.5)
round(3.5)
round(-0.5)
round(2.675, 2)
round(1.005, 2)
round(5, 2)
round(2.5, None)
bool([])
bool("x")
str(1.0)
str(None)
str(1e16)
str(0.0001)
str(0.00001)
min(3, 1, 2)
max([1, 2.5])
min("b", "a")
1 if DEBUG else 2
4 if not DEBUG and GPUS > 0 else 2
GPUS or 5
0 or ""
1 and 2
GPUS
MEMORY
MEMORY_GB * 1024**3
PAIR[0]
PAIR[-1]
BASE["num_cpus"]
1 < 2 <= 2
1 < 2 > 3
"a" in PAIR
"z" not in BASE
None is None
GPUS is not None
"x" == "x"
1 == 1.0
(1, "a") == (1, "a")
1 != 2
"abc" < "abd"
"b" in "abc"
((3))
1 if 1 else undefined
`), "\n")

const preamble = `
TORCH = "2.5.1"
PIPS = ["numpy", f"torch=={TORCH}"]
DEBUG: bool = False
GPUS = 1
MEMORY_GB = 4
MEMORY = MEMORY_GB * 1024 ** 3
PAIR = ("a", 2)
BASE = {"num_cpus": 2, "b": None}
`

// joinContinued puts lines together that belong to one expression.
func joinContinued(lines []string) []string {
	var out []string
	for _, line := range lines {
		if n := len(out); n > 0 && (strings.HasSuffix(out[n-1], `\`) || strings.Count(out[n-1], `"""`) == 1) {
			out[n-1] += "\n" + line
			continue
		}
		out = append(out, line)
	}
	return out
}

func TestEvaluate_agrees_with_python(t *testing.T) {
	expressions := joinContinued(constants)
	var file strings.Builder
	file.WriteString(preamble)
	for i, expression := range expressions {
		fmt.Fprintf(&file, "X%d = %s\n", i, expression)
	}
	m := parse(t, file.String())
	want := pythonReprs(t, file.String(), len(expressions))
	for i, expression := range expressions {
		v := valueOf(t, m, fmt.Sprintf("X%d", i))
		if v.Kind == Unknown {
			t.Errorf("%s: unknown because %s", expression, v.Why)
		} else if got := v.Repr(); got != want[i] {
			t.Errorf("%s: got %s, Python has %s", expression, got, want[i])
		}
	}
}

// pythonReprs runs the file in Python and returns repr(X0), repr(X1), ….
func pythonReprs(t *testing.T, file string, n int) []string {
	t.Helper()
	script := file + fmt.Sprintf("\nimport json\nprint(json.dumps([repr(globals()[f'X{i}']) for i in range(%d)]))\n", n)
	out, err := exec.Command("python3", "-W", "ignore", "-c", script).Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	var reprs []string
	if err := json.Unmarshal(out, &reprs); err != nil {
		t.Fatalf("python3 printed %q: %v", out, err)
	}
	return reprs
}

func TestEvaluate_says_why_a_value_is_unknown(t *testing.T) {
	cases := []struct{ name, text, why string }{
		{"call", "X = os.cpu_count()", "`os.cpu_count()` is called when the file runs (main.py:1)"},
		{"call_of_own_function", "def f():\n    return 1\nX = f()", "`f()` is called when the file runs (main.py:3)"},
		{"attribute", "X = config.gpus", "`config.gpus` is looked up when the file runs (main.py:1)"},
		{"cause_of_a_name", "import os\nN = os.getenv('N')\nX = N * 2", "`os.getenv('N')` is called when the file runs (main.py:2)"},
		{"not_assigned", "X = GPUS", "`GPUS` is not assigned in the file (main.py:1)"},
		{"imported", "from settings import GPUS\nX = GPUS", "`GPUS` is imported (main.py:1)"},
		{"assigned_twice", "A = 1\nA = 2\nX = A", "`A` is assigned more than once (main.py:1, main.py:2)"},
		{"assigned_in_if", "if y:\n    A = 1\nX = A", "`A` is assigned inside a block of `if` (main.py:2)"},
		{"assigned_in_try", "try:\n    A = 1\nexcept E:\n    pass\nX = A", "inside a block of `try`"},
		{"assigned_later", "X = A\nA = 1", "`A` is assigned only later (main.py:2)"},
		{"assigned_from_itself", "A = B\nB = A\nX = B", "`B` is assigned from itself (main.py:1)"},
		{"augmented", "A = 1\nA += 1\nX = A", "more than once"},
		{"for_target", "for A in range(3):\n    pass\nX = A", "`A` is assigned by a for loop (main.py:1)"},
		{"with_target", "with f() as A:\n    pass\nX = A", "by an as clause"},
		{"unpacked", "A, B = 1, 2\nX = A", "`A` is assigned by unpacking (main.py:1)"},
		{"deleted", "A = 1\ndel A\nX = A", "more than once"},
		{"global", "A = 1\ndef f():\n    global A\n    A = 2\nX = A", "`A` is assigned inside a function (main.py:3)"},
		{"walrus", "A = 1\nprint(A := 2)\nX = A", "inside an expression (main.py:2)"},
		{"changed_item", "A = {'a': 1}\nA['a'] = 2\nX = A", "`A` is changed (main.py:2)"},
		{"changed_method", "A = [1]\nA.append(2)\nX = A", "`A` is changed by append() (main.py:2)"},
		{"changed_inside", "A = {'a': [1]}\nA['a'].append(2)\nX = A", "changed by append()"},
		{"changed_alias", "A = [1]\nB = A\nB.append(2)\nX = A", "changed by append()"},
		{"given_to_a_function", "A = [1]\ndef f(a):\n    a.append(1)\nf(A)\nX = A", "`A` is given to f() (main.py:4)"},
		{"star_import", "A = 1\nfrom m import *\nX = A", "replaced by the star import (main.py:2)"},
		{"shadowed_builtin", "def int(x):\n    return 7\nX = int(1)", "is called when the file runs"},
		{"comprehension", "X = [i for i in (1, 2)]", "is a comprehension, computed when the file runs"},
		{"division_by_zero", "X = 1 / 0", "`1 / 0` fails: ZeroDivisionError (main.py:1)"},
		{"type_error", "X = -'a'", "bad operand type for unary -: 'str'"},
		{"missing_key", "A = {}\nX = A['a']", "fails: KeyError: 'a'"},
		{"huge_power", "X = 10 ** 100000000", "too large"},
		{"huge_shift", "X = 1 << 99999999999", "too large"},
		{"huge_text", "X = 'a' * 10**9", "too large"},
		{"huge_list", "X = [0] * 10**9", "too large"},
		{"huge_integer", "X = 9223372036854775808", "not an integer of 64 bits"},
		{"overflow", "X = 2**62 * 4", "not an integer of 64 bits"},
		{"infinite_power", "X = 10.0 ** 400", "fails"},
		{"bytes", "X = b'a'", "is not a string of text"},
		{"named_escape", `X = "\N{DASH}"`, "an escape that is not read"},
		{"surrogate", `X = "\ud800"`, "an escape that is not read"},
		{"format_specification", "A = 1\nX = f'{A:03d}'", "is computed when the file runs"},
		{"slice", "A = [1, 2]\nX = A[0:1]", "is computed when the file runs"},
		{"deep", "X = " + strings.Repeat("not ", 300) + "1", "nested deeper than 200 levels"},
		{"deep_names", chain(250), "nested deeper than 200 levels"},
		{"many_steps", "X = [" + strings.Repeat("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],", 3500) + "]", "too"},
		{"bomb_of_texts", bomb("%s + %s + %s + %s + %s + %s + %s + %s"), "too large"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := valueOf(t, parse(t, c.text+"\n"), "X")
			if v.Kind != Unknown || !strings.Contains(v.Why, c.why) {
				t.Errorf("got %s %q, want unknown because %q", v.Kind, v.Why, c.why)
			}
		})
	}
}

// chain assigns each of n names from the one before.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("A0 = 1\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "A%d = A%d + 1\n", i, i-1)
	}
	return b.String() + fmt.Sprintf("X = A%d", n)
}

// bomb makes a short file whose value doubles again and again.
func bomb(pattern string) string {
	var b strings.Builder
	b.WriteString("A0 = 'aaaaaaaa'\n")
	for i := 1; i <= 20; i++ {
		names := strings.ReplaceAll(pattern, "%s", fmt.Sprintf("A%d", i-1))
		fmt.Fprintf(&b, "A%d = %s\n", i, names)
	}
	return b.String() + "X = A20"
}

func TestEvaluate_bounds_values_that_grow_by_sharing(t *testing.T) {
	v := valueOf(t, parse(t, bomb("[%s, %s, %s, %s, %s, %s, %s, %s]")), "X")
	if v.size > maxSize || len(v.Repr()) > 16*maxSize {
		t.Errorf("a short file made a value of size %d", v.size)
	}
}

func TestEvaluate_keeps_what_is_known(t *testing.T) {
	m := parse(t, `
import os
BASE = {"num_cpus": 2}
if __name__ == "__main__":
    BASE["num_cpus"] = 99
    BASE = {}
A = {"num_cpus": 1, "num_gpus": os.environ["G"], "memory": 5}
B = {"num_cpus": 1, **options(), "memory": 5}
C = {**BASE}
D = AutoscalingConfig(min_replicas=1, max_replicas=os.cpu_count())
`)
	m.bindings["AutoscalingConfig"] = []binding{{kind: bindImport, target: "ray.serve.config.AutoscalingConfig"}}
	m.TreatAsRecord("ray.serve.config.AutoscalingConfig")
	check := func(name, key, want string) {
		t.Helper()
		d := valueOf(t, m, name).Dict
		if d == nil {
			t.Fatalf("%s is no dictionary", name)
		}
		got := "absent"
		if v, ok := d.Get(key); ok {
			if got = v.Repr(); v.Kind == Unknown {
				got = "unknown"
			}
		}
		if got != want {
			t.Errorf("%s[%q] is %s, want %s", name, key, got, want)
		}
	}
	check("A", "num_cpus", "1")
	check("A", "num_gpus", "unknown")
	check("A", "memory", "5")
	check("A", "other", "absent")
	check("B", "num_cpus", "unknown") // **options() may replace it
	check("B", "memory", "5")
	check("B", "other", "unknown")
	check("C", "num_cpus", "2") // the main block never runs
	check("D", "min_replicas", "1")
	check("D", "max_replicas", "unknown")
}
