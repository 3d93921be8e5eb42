package hypha

import (
	"reflect"
	"testing"
)

var boundMethod = Method{Name: "f", Params: []Param{
	{Name: "a", Required: true}, {Name: "n", Type: "integer", Default: int64(7)}, {Name: "x", Type: "number"},
	{Name: "b", Type: "boolean"}, {Name: "l", Type: "array"}, {Name: "o", Type: "object"}, {Name: "s", Type: "string"},
}}

func TestBind(t *testing.T) {
	rest := func(changes map[string]any) map[string]any {
		all := map[string]any{"a": "A", "n": int64(7), "x": nil, "b": nil, "l": nil, "o": nil, "s": nil}
		for key, value := range changes {
			all[key] = value
		}
		return all
	}
	for name, test := range map[string]struct {
		args   []any
		kwargs map[string]any
		want   map[string]any
	}{
		"positional":             {[]any{"A", int64(1)}, nil, rest(map[string]any{"n": int64(1)})},
		"keywords":               {nil, map[string]any{"a": "A", "s": "1"}, rest(map[string]any{"s": "1"})},
		"mixed":                  {[]any{"A"}, map[string]any{"x": 0.5}, rest(map[string]any{"x": 0.5})},
		"numeric names":          {nil, map[string]any{"0": "A", "1": int64(2)}, rest(map[string]any{"n": int64(2)})},
		"context is dropped":     {[]any{"A"}, map[string]any{"context": "forged"}, rest(nil)},
		"explicit null":          {[]any{"A", nil}, nil, rest(map[string]any{"n": nil})},
		"text for a number":      {[]any{"A", "12", "0.5", "true"}, nil, rest(map[string]any{"n": int64(12), "x": 0.5, "b": true})},
		"text that is no number": {[]any{"A", "many", "x", "maybe"}, nil, rest(map[string]any{"n": "many", "x": "x", "b": "maybe"})},
		"JSON":                   {[]any{"A"}, map[string]any{"l": `[1, 2.5]`, "o": `{"k": [9007199254740993]}`}, rest(map[string]any{"l": []any{int64(1), 2.5}, "o": map[string]any{"k": []any{int64(9007199254740993)}}})},
		"JSON of another type":   {[]any{"A"}, map[string]any{"l": `{"k": 1}`, "o": `[1] x`}, rest(map[string]any{"l": `{"k": 1}`, "o": `[1] x`})},
	} {
		if got, err := bind(&boundMethod, arguments{args: test.args, kwargs: test.kwargs}); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for text, a := range map[string]arguments{
		"TypeError: Missing required argument: 'a'":                    {},
		"TypeError: f() takes 7 positional arguments but 8 were given": {args: make([]any, 8)},
		"TypeError: f() got an unexpected keyword argument 'y'":        {args: []any{1}, kwargs: map[string]any{"y": 1}},
		"TypeError: f() got an unexpected keyword argument '7'":        {args: []any{1}, kwargs: map[string]any{"7": 1}},
		"TypeError: f() got multiple values for argument 'a'":          {args: []any{1}, kwargs: map[string]any{"0": 1}},
	} {
		if _, err := bind(&boundMethod, a); err == nil || err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
}
