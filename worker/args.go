package worker

import (
	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// The functions of this file read bound arguments. Null and absent are the
// same: "not given". No value is converted (contract 0.2).

func stringArg(r *hypha.Request, name string) (string, error) {
	switch v := r.Args[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", typeError("%s must be a string, but got %s.", name, pythonType(v))
	}
}

func boolArg(r *hypha.Request, name string) (*bool, error) {
	switch v := r.Args[name].(type) {
	case nil:
		return nil, nil
	case bool:
		return &v, nil
	default:
		return nil, typeError("%s must be a boolean, but got %s.", name, pythonType(v))
	}
}

// intArg also takes a float without a fraction, as JavaScript has no other numbers.
func intArg(r *hypha.Request, name string) (*int, error) {
	v := r.Args[name]
	if v == nil {
		return nil, nil
	}
	n, ok := integer(v)
	if !ok {
		return nil, typeError("%s must be an integer, but got %s.", name, pythonType(v))
	}
	return &n, nil
}

func integer(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		if i := int(n); float64(i) == n {
			return i, true
		}
	}
	return 0, false
}

// pythonType is the name a Python caller knows for the type of v.
func pythonType(v any) string {
	switch v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int, int64, uint64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []byte, hypha.MemoryView:
		return "bytes"
	case []any:
		return "list"
	case map[string]any, hypha.OrderedMap:
		return "dict"
	case hypha.Set:
		return "set"
	case hypha.NDArray:
		return "ndarray"
	case *hypha.Function:
		return "function"
	}
	return "object"
}
