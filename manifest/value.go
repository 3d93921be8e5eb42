package manifest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// State says how much is known about a value without running the file.
type State string

const (
	Absent   State = ""         // not given: Ray Serve's default holds
	Constant State = "constant" // Value holds it
	Runtime  State = "runtime"  // known only at run time; Why says because of what
)

// Value is one option of a decorator. Its JSON keeps integers and floats of
// open-ended values apart, so it can be stored and read back unchanged.
type Value[T any] struct {
	State State
	Value T      // of a Constant
	Place Place  // of the value in the decorator, not of Absent
	Why   string // of Runtime: completes "known only at run time because …"
}

// Get returns the constant; ok is false for Absent and Runtime.
func (v Value[T]) Get() (value T, ok bool) { return v.Value, v.State == Constant }

// Or returns the constant, or the default.
func (v Value[T]) Or(other T) T {
	if v.State == Constant {
		return v.Value
	}
	return other
}

type wireValue struct {
	State State           `json:"state,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	Place Place           `json:"place,omitzero"`
	Why   string          `json:"why,omitempty"`
}

// MarshalJSON writes floats of open-ended values with a point.
func (v Value[T]) MarshalJSON() ([]byte, error) {
	wire := wireValue{State: v.State, Place: v.Place, Why: v.Why}
	if v.State == Constant {
		raw, err := json.Marshal(pointFloats(any(v.Value)))
		if err != nil {
			return nil, err
		}
		wire.Value = raw
	}
	return json.Marshal(wire)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	var wire wireValue
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*v = Value[T]{State: wire.State, Place: wire.Place, Why: wire.Why}
	if wire.State != Constant {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(wire.Value))
	decoder.UseNumber()
	if err := decoder.Decode(&v.Value); err != nil {
		return err
	}
	if restored, ok := restoreNumbers(any(v.Value)).(T); ok {
		v.Value = restored
	}
	return nil
}

// pointFloats replaces every float within an open-ended value by a JSON number
// that shows it is one.
func pointFloats(v any) any {
	switch v := v.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".eEIN") {
			text += ".0"
		}
		return json.Number(text)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = pointFloats(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = pointFloats(item)
		}
		return out
	}
	return v
}

// restoreNumbers replaces JSON numbers by int64 or float64, in place.
func restoreNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // the decoder has checked its form
		return f
	case []any:
		for i, item := range v {
			v[i] = restoreNumbers(item)
		}
	case map[string]any:
		for key, item := range v {
			v[key] = restoreNumbers(item)
		}
	}
	return v
}
