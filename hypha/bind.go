package hypha

import (
	"encoding/json"
	"strconv"
	"strings"
)

// bind gives each parameter its argument, as a Python call would, with these additions: keywords "0", "1", … are
// positions, since HTTP callers send lists so; a keyword `context` that is no parameter is dropped, since peers cannot set
// the context (contract 0.2).
func bind(m *Method, a arguments) (map[string]any, error) {
	bound := make(map[string]any, len(m.Params))
	if len(a.args) > len(m.Params) {
		return nil, Errorf("TypeError", "%s() takes %d positional arguments but %d were given", m.Name, len(m.Params), len(a.args))
	}
	for i, value := range a.args {
		bound[m.Params[i].Name] = value
	}
	for name, value := range a.kwargs {
		i := m.param(name)
		if i < 0 && name == "context" {
			continue
		}
		if i < 0 {
			return nil, Errorf("TypeError", "%s() got an unexpected keyword argument '%s'", m.Name, name)
		}
		if _, twice := bound[m.Params[i].Name]; twice {
			return nil, Errorf("TypeError", "%s() got multiple values for argument '%s'", m.Name, m.Params[i].Name)
		}
		bound[m.Params[i].Name] = value
	}
	return bound, m.complete(bound)
}

// param is the index of a parameter by name, or by position when name is a number; -1 if there is none.
func (m *Method) param(name string) int {
	for i := range m.Params {
		if m.Params[i].Name == name {
			return i
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(m.Params) {
		return i
	}
	return -1
}

// complete fills in defaults and converts text.
func (m *Method) complete(bound map[string]any) error {
	for i := range m.Params {
		p := &m.Params[i]
		value, given := bound[p.Name]
		switch {
		case given:
			bound[p.Name] = p.fromText(value)
		case p.Required:
			return Errorf("TypeError", "Missing required argument: '%s'", p.Name)
		default:
			bound[p.Name] = p.Default
		}
	}
	return nil
}

// fromText reads text as the declared type where it parses; other values, and other text, pass as they are.
func (p *Param) fromText(value any) any {
	text, ok := value.(string)
	if !ok {
		return value
	}
	switch p.Type {
	case "integer":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case "number":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case "boolean":
		switch strings.ToLower(text) {
		case "true", "1":
			return true
		case "false", "0":
			return false
		}
	case "array":
		if list, ok := fromJSON(text).([]any); ok {
			return list
		}
	case "object":
		if fields, ok := fromJSON(text).(map[string]any); ok {
			return fields
		}
	}
	return value
}

// fromJSON reads text with integers as integers; nil when it is no JSON.
func fromJSON(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil || d.More() {
		return nil
	}
	return numbers(value)
}

// numbers replaces json.Number by int64 or float64.
func numbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return value
}
