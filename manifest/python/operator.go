package python

import (
	"math"
	"math/big"
	"slices"
	"strings"
)

func (m *Module) unary(n *node, v Value) Value {
	if v.Kind == Unknown {
		return v
	}
	operator := m.text(n.child("operator"))
	switch {
	case operator == "~" && v.isNumber() && v.Kind != Float:
		return Value{Kind: Int, Int: ^v.integer()}
	case operator == "~" || !v.isNumber():
		return m.fails(n, "bad operand type for unary "+operator+": '"+v.Kind.String()+"'")
	case v.Kind == Float && operator == "-":
		return Value{Kind: Float, Float: -v.Float}
	case v.Kind == Float:
		return v
	case operator == "-":
		return m.fit(n, new(big.Int).Neg(big.NewInt(v.integer())))
	}
	return Value{Kind: Int, Int: v.integer()}
}

func (m *Module) binary(n *node, left, right Value) Value {
	operator := m.text(n.child("operator"))
	switch {
	case left.Kind == Unknown:
		return left
	case right.Kind == Unknown:
		return right
	case left.isNumber() && right.isNumber() && operator == "/":
		return m.floatArithmetic(n, operator, left.number(), right.number())
	case left.isNumber() && right.isNumber() && (left.Kind == Float || right.Kind == Float):
		return m.floatArithmetic(n, operator, left.number(), right.number())
	case left.isNumber() && right.isNumber():
		return m.intArithmetic(n, operator, left.integer(), right.integer())
	case operator == "+" && left.Kind == right.Kind:
		return m.concatenate(n, left, right)
	case operator == "*" && (right.Kind == Int || right.Kind == Bool):
		return m.repeat(n, left, right.integer())
	case operator == "*" && (left.Kind == Int || left.Kind == Bool):
		return m.repeat(n, right, left.integer())
	case operator == "|" && left.Kind == Dict && right.Kind == Dict:
		merged := newMapping()
		merged.merge(left.Dict)
		merged.merge(right.Dict)
		return Value{Kind: Dict, Dict: merged}
	}
	return m.opaque(n)
}

// floatArithmetic follows Python: // and % round towards minus infinity.
func (m *Module) floatArithmetic(n *node, operator string, a, b float64) Value {
	result := 0.0
	switch operator {
	case "+":
		result = a + b
	case "-":
		result = a - b
	case "*":
		result = a * b
	case "/", "//", "%":
		if b == 0 {
			return m.fails(n, "ZeroDivisionError")
		}
		result = divideFloat(operator, a, b)
	case "**":
		result = math.Pow(a, b)
		if math.IsNaN(result) || math.IsInf(result, 0) {
			return m.fails(n, "the result is no finite number")
		}
	default:
		return m.fails(n, "unsupported operand types for "+operator)
	}
	return Value{Kind: Float, Float: result}
}

func divideFloat(operator string, a, b float64) float64 {
	if operator == "/" {
		return a / b
	}
	rest := math.Mod(a, b)
	if rest != 0 && (rest < 0) != (b < 0) {
		rest += b
	}
	if operator == "%" {
		return rest
	}
	return math.Round((a - rest) / b)
}

func (m *Module) intArithmetic(n *node, operator string, a, b int64) Value {
	x, y, z := big.NewInt(a), big.NewInt(b), new(big.Int)
	switch operator {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "|":
		z.Or(x, y)
	case "&":
		z.And(x, y)
	case "^":
		z.Xor(x, y)
	case "//", "%":
		if b == 0 {
			return m.fails(n, "ZeroDivisionError")
		}
		z = divideInt(operator, x, y)
	case "**", "<<", ">>":
		return m.power(n, operator, a, b)
	default:
		return m.fails(n, "unsupported operand types for "+operator)
	}
	return m.fit(n, z)
}

func divideInt(operator string, x, y *big.Int) *big.Int {
	quotient, rest := new(big.Int).QuoRem(x, y, new(big.Int))
	if rest.Sign() != 0 && rest.Sign() != y.Sign() {
		quotient.Sub(quotient, big.NewInt(1))
		rest.Add(rest, y)
	}
	if operator == "%" {
		return rest
	}
	return quotient
}

// power computes a**b and shifts without ever building a huge number.
func (m *Module) power(n *node, operator string, a, b int64) Value {
	x := big.NewInt(a)
	switch {
	case b < 0 && operator == "**":
		if a == 0 {
			return m.fails(n, "ZeroDivisionError")
		}
		return Value{Kind: Float, Float: math.Pow(float64(a), float64(b))}
	case b < 0:
		return m.fails(n, "negative shift count")
	case operator == ">>":
		return m.fit(n, x.Rsh(x, uint(min(b, 64))))
	case a == 0 || operator == "**" && (a == 1 || a == -1):
		b = min(b, 2+b%2) // only whether it is 0, and whether it is odd, matters
	case b > 64:
		return m.tooLarge(n)
	}
	if operator == "<<" {
		return m.fit(n, x.Lsh(x, uint(b)))
	}
	return m.fit(n, x.Exp(x, big.NewInt(b), nil))
}

func (m *Module) concatenate(n *node, left, right Value) Value {
	switch left.Kind {
	case Str:
		if len(left.Str)+len(right.Str) > maxText {
			return m.tooLarge(n)
		}
		return Value{Kind: Str, Str: left.Str + right.Str}
	case List, Tuple:
		if len(left.Items)+len(right.Items) > maxMember {
			return m.tooLarge(n)
		}
		return Value{Kind: left.Kind, Items: slices.Concat(left.Items, right.Items)}
	}
	return m.fails(n, "unsupported operand types for +")
}

func (m *Module) repeat(n *node, v Value, count int64) Value {
	count = max(count, 0)
	switch v.Kind {
	case Str:
		if count > maxText || int64(len(v.Str))*count > maxText {
			return m.tooLarge(n)
		}
		return Value{Kind: Str, Str: strings.Repeat(v.Str, int(count))}
	case List, Tuple:
		if count > maxMember || int64(len(v.Items))*count > maxMember {
			return m.tooLarge(n)
		}
		return Value{Kind: v.Kind, Items: slices.Repeat(v.Items, int(count))}
	}
	return m.fails(n, "unsupported operand types for *")
}

// comparison evaluates chains as well: 1 < x <= 4.
func (m *Module) comparison(n *node, depth int) Value {
	var operands []*node
	var operators []string
	for _, c := range n.children {
		if c.field == "operators" {
			operators = append(operators, strings.Join(strings.Fields(m.text(c)), " "))
		} else if c.named {
			operands = append(operands, c)
		}
	}
	if len(operands) != len(operators)+1 {
		return m.opaque(n)
	}
	left := m.evaluate(operands[0], depth+1)
	for i, operator := range operators {
		right := m.evaluate(operands[i+1], depth+1)
		result := m.compare(n, operator, left, right)
		if result.Kind == Unknown || !result.Bool {
			return result
		}
		left = right
	}
	return boolean(true)
}

func (m *Module) compare(n *node, operator string, left, right Value) Value {
	if left.Kind == Unknown {
		return left
	}
	if right.Kind == Unknown {
		return right
	}
	switch operator {
	case "==", "!=":
		if left.hashable() && right.hashable() {
			return boolean((left.key() == right.key()) == (operator == "=="))
		}
	case "is", "is not":
		if left.Kind == None || right.Kind == None {
			return boolean((left.Kind == right.Kind) == (operator == "is"))
		}
	case "in", "not in":
		return m.contains(n, operator, left, right)
	case "<", "<=", ">", ">=":
		if order, ok := ordering(left, right); ok {
			return boolean(map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator])
		}
	}
	return m.opaque(n)
}

func (m *Module) contains(n *node, operator string, left, right Value) Value {
	found, known := false, left.hashable()
	switch right.Kind {
	case List, Tuple, Set:
		for _, item := range right.Items {
			known = known && item.hashable()
			found = found || item.key() == left.key()
		}
	case Dict:
		_, found = right.Dict.index[left.key()]
		known = known && right.Dict.Rest == nil
	case Str:
		found, known = strings.Contains(right.Str, left.Str), left.Kind == Str
	default:
		known = false
	}
	if !known {
		return m.opaque(n)
	}
	return boolean(found == (operator == "in"))
}

// ordering compares two numbers or two strings; NaN has no order.
func ordering(a, b Value) (order int, ok bool) {
	switch {
	case a.Kind == Str && b.Kind == Str:
		return strings.Compare(a.Str, b.Str), true
	case !a.isNumber() || !b.isNumber() || math.IsNaN(a.number()) || math.IsNaN(b.number()):
		return 0, false
	case a.Kind != Float && b.Kind != Float:
		return big.NewInt(a.integer()).Cmp(big.NewInt(b.integer())), true
	case a.number() < b.number():
		return -1, true
	case a.number() > b.number():
		return 1, true
	}
	return 0, true
}
