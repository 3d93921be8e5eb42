package hypha

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// encoder packs values (hypha-protocol 3).
type encoder struct {
	b []byte
	// export gives a Callback a reference; nil refuses callbacks.
	export func(Callback) (map[string]any, error)
}

// encodePlain packs a value that holds no callbacks.
func encodePlain(v any) ([]byte, error) {
	var e encoder
	err := e.value(v, 0)
	return e.b, err
}

// value appends the common kinds itself; special and reflected take the others.
func (e *encoder) value(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("value is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		e.b = appendNil(e.b)
	case bool:
		e.b = appendBool(e.b, v)
	case int:
		e.b = appendInt(e.b, int64(v))
	case int64:
		e.b = appendInt(e.b, v)
	case uint64:
		e.b = appendUint(e.b, v)
	case float64:
		e.b = appendFloat(e.b, v)
	case string:
		e.b = appendString(e.b, v)
	case []byte:
		e.b = appendBin(e.b, v)
	case []any:
		return e.list(v, depth)
	case map[string]any:
		return e.object(v, depth)
	default:
		return e.special(v, depth)
	}
	return nil
}

// special appends the values of this package.
func (e *encoder) special(v any, depth int) error {
	switch v := v.(type) {
	case Raw:
		if len(v) == 0 {
			v = Raw{0xc0}
		}
		e.b = append(e.b, v...)
	case NDArray:
		return e.object(v.fields(), depth)
	case TypedArray:
		return e.object(map[string]any{"_rtype": "typedarray", "_rvalue": v.Data, "_rdtype": v.DType}, depth)
	case MemoryView:
		return e.object(map[string]any{"_rtype": "memoryview", "_rvalue": []byte(v)}, depth)
	case Set:
		return e.object(map[string]any{"_rtype": "set", "_rvalue": []any(v)}, depth)
	case OrderedMap:
		return e.object(v.fields(), depth)
	case time.Time:
		e.b = appendString(e.b, v.Format(time.RFC3339Nano))
	case *Function:
		return e.function(v, depth)
	case Callback:
		return e.callback(v, depth)
	case error:
		return e.object(errorFields(v), depth)
	default:
		return e.reflected(reflect.ValueOf(v), depth)
	}
	return nil
}

func (e *encoder) list(items []any, depth int) error {
	e.b = appendArrayLen(e.b, len(items))
	for i, item := range items {
		if err := e.value(item, depth+1); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

// object appends in the order of the keys, so that peers who print a map see the same each time.
func (e *encoder) object(fields map[string]any, depth int) error {
	e.b = appendMapLen(e.b, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		e.b = appendString(e.b, key)
		if err := e.value(fields[key], depth+1); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func (e *encoder) callback(f Callback, depth int) error {
	if e.export == nil {
		return errors.New("a function cannot be sent here")
	}
	ref, err := e.export(f)
	if err != nil {
		return err
	}
	return e.object(ref, depth)
}

func (e *encoder) function(f *Function, depth int) error {
	if f == nil {
		e.b = appendNil(e.b)
		return nil
	}
	return e.object(f.ref, depth)
}

func (a NDArray) fields() map[string]any {
	shape := make([]any, len(a.Shape))
	for i, n := range a.Shape {
		shape[i] = int64(n)
	}
	return map[string]any{"_rtype": "ndarray", "_rvalue": a.Data, "_rshape": shape, "_rdtype": a.DType}
}

func (m OrderedMap) fields() map[string]any {
	list := make([]any, len(m))
	for i, pair := range m {
		list[i] = []any{pair.Key, pair.Value}
	}
	return map[string]any{"_rtype": "orderedmap", "_rvalue": list}
}

// errorFields keeps value and trace ending in the same line, since Hypha's HTTP gateway shows the last line of both
// joined (hypha-protocol 3.4).
func errorFields(err error) map[string]any {
	text := errorText(err)
	return map[string]any{"_rtype": "error", "_rvalue": text, "_rtrace": text}
}

// reflected appends named and other types by their kind.
func (e *encoder) reflected(v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Bool:
		e.b = appendBool(e.b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.b = appendInt(e.b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.b = appendUint(e.b, v.Uint())
	case reflect.Float32, reflect.Float64:
		e.b = appendFloat(e.b, v.Float())
	case reflect.String:
		e.b = appendString(e.b, v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			e.b = appendNil(e.b)
			return nil
		}
		return e.value(v.Elem().Interface(), depth+1)
	case reflect.Slice, reflect.Array:
		return e.reflectedList(v, depth)
	case reflect.Map:
		return e.reflectedMap(v, depth)
	default:
		return fmt.Errorf("a value of type %s cannot be sent", v.Type())
	}
	return nil
}

func (e *encoder) reflectedList(v reflect.Value, depth int) error {
	if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
		e.b = appendBin(e.b, v.Bytes())
		return nil
	}
	items := make([]any, v.Len())
	for i := range items {
		items[i] = v.Index(i).Interface()
	}
	return e.list(items, depth)
}

func (e *encoder) reflectedMap(v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a map with keys of type %s cannot be sent", v.Type().Key())
	}
	fields := make(map[string]any, v.Len())
	for entries := v.MapRange(); entries.Next(); {
		fields[entries.Key().String()] = entries.Value().Interface()
	}
	return e.object(fields, depth)
}

// appendExtra packs the arguments of a message as one `extra` map whose only list element is already packed.
func appendSingleArg(b, packed []byte) []byte {
	b = appendString(appendMapLen(b, 1), "args")
	return append(appendArrayLen(b, 1), packed...)
}
