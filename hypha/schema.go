package hypha

import "strings"

// parameters is the JSON schema of a method's arguments.
func (m *Method) parameters() map[string]any {
	if m.Schema != nil {
		return m.Schema
	}
	properties := make(map[string]any, len(m.Params))
	required := []any{}
	for i := range m.Params {
		p := &m.Params[i]
		properties[p.Name] = p.schema()
		if p.Required {
			required = append(required, p.Name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func (p *Param) schema() map[string]any {
	if p.Schema != nil {
		return p.Schema
	}
	schema := map[string]any{}
	if p.Type != "" {
		schema["type"] = p.Type
	}
	if p.Description != "" {
		schema["description"] = p.Description
	}
	if !p.Required {
		schema["default"] = p.Default
	}
	return schema
}

// function is what tools read about a method.
func (m *Method) function() map[string]any {
	name := m.Name[strings.LastIndexByte(m.Name, '.')+1:]
	return map[string]any{"name": name, "description": m.Doc, "parameters": m.parameters()}
}

// serviceSchema mirrors the members of a service (hypha-protocol 4.3).
func (s *Service) serviceSchema() map[string]any {
	return s.tree(func(m *Method) any {
		return map[string]any{"type": "function", "function": m.function()}
	})
}

// members are the references that callers get (hypha-protocol 3.1). server must be the public base URL: with a wrong one
// the manager wraps every method, and all calls seem to come from itself.
func (s *Service) members(address, server string) map[string]any {
	return s.tree(func(m *Method) any {
		function := m.function()
		return map[string]any{
			"_rtype": "method", "_rserver": server, "_rtarget": address, "_rmethod": "services." + s.ID + "." + m.Name,
			"_rpromise": "*", "_rname": function["name"], "_rdoc": m.Doc, "_rschema": function,
		}
	})
}

// tree nests methods by the dots in their names.
func (s *Service) tree(leaf func(*Method) any) map[string]any {
	root := map[string]any{}
	for i := range s.Methods {
		parts := strings.Split(s.Methods[i].Name, ".")
		at := root
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = leaf(&s.Methods[i])
	}
	return root
}
