package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a manifest. Aliases are counted where they are used, so that a
// short file cannot expand without end.
const (
	maxManifestBytes = 256 << 10
	maxYAMLValues    = 200_000
	maxYAMLDepth     = 100
)

const textInvalidYAML = "Invalid YAML in manifest file: %s"

// document reads the nodes of one YAML file into plain values.
type document struct {
	file string
	left int // values that may still be made
}

// parseYAML returns the mapping at the top of a manifest.
func (d *document) parseYAML(data []byte) (*yaml.Node, error) {
	if len(data) > maxManifestBytes {
		return nil, d.invalid(0, fmt.Sprintf("the file has more than %d bytes", maxManifestBytes))
	}
	if !utf8.Valid(data) {
		return nil, d.invalid(0, "the file is not UTF-8")
	}
	root, err := decodeOne(data)
	if err != nil {
		return nil, d.invalid(splitLine(err))
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, d.invalid(0, "the file is empty")
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, d.invalid(top.Line, "the file must be a mapping of fields, but is "+describeNode(top))
	}
	return top, nil
}

// decodeOne parses a text that must hold exactly one document. The library
// panics on some malformed texts; a manifest must not end the controller.
func decodeOne(data []byte) (root yaml.Node, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("the file cannot be read (%v)", failure)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return root, err
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return root, fmt.Errorf("line %d: a second document begins; only one is expected", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return root, err
	}
	return root, nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// splitLine takes the line out of the library's text.
func splitLine(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if found := yamlLine.FindStringSubmatch(text); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits by the expression; 0 when absurdly many
	}
	return line, strings.Join(strings.Fields(text), " ")
}

func (d *document) invalid(line int, text string) *Error {
	return &Error{Code: CodeManifestYAML, Message: fmt.Sprintf(textInvalidYAML, text), Place: Place{File: d.file, Line: line}}
}

func (d *document) place(n *yaml.Node) Place { return Place{File: d.file, Line: n.Line} }

// value turns a node into nil, bool, int64, float64, string, []any or
// map[string]any: what JSON and Hypha can carry. Dates stay text.
func (d *document) value(n *yaml.Node, depth int) (any, error) {
	if d.left--; d.left < 0 {
		return nil, d.invalid(n.Line, fmt.Sprintf("the file expands to more than %d values", maxYAMLValues))
	}
	if depth > maxYAMLDepth {
		return nil, d.invalid(n.Line, fmt.Sprintf("the file is nested deeper than %d levels", maxYAMLDepth))
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := d.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return d.mapping(n, depth)
	}
	return scalar(n), nil
}

func (d *document) mapping(n *yaml.Node, depth int) (any, error) {
	fields, err := d.fields(n, depth)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		if out[f.name], err = d.value(f.value, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// field is one entry of a mapping.
type field struct {
	name       string
	key, value *yaml.Node
}

// fields lists a mapping's entries in order, those merged with "<<" last.
// Keys that are no text become text, as JSON would have them.
func (d *document) fields(n *yaml.Node, depth int) ([]field, error) {
	if depth > maxYAMLDepth {
		return nil, d.invalid(n.Line, fmt.Sprintf("the file is nested deeper than %d levels", maxYAMLDepth))
	}
	var own, merged []field
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolveAlias(n.Content[i]), n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, d.invalid(key.Line, "a key must be a text, but is "+describeNode(key))
		}
		if key.ShortTag() == "!!merge" {
			more, err := d.mergedFields(value, depth+1)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		if before, twice := seen[key.Value]; twice {
			return nil, d.invalid(key.Line, fmt.Sprintf("line %d: key '%s' is already set at line %d", key.Line, clip(key.Value), before))
		}
		seen[key.Value] = key.Line
		own = append(own, field{name: key.Value, key: key, value: value})
	}
	for _, f := range merged {
		if _, set := seen[f.name]; !set {
			seen[f.name] = f.key.Line
			own = append(own, f)
		}
	}
	return own, nil
}

// mergedFields are the entries that "<<: *anchor" or "<<: [*a, *b]" brings.
func (d *document) mergedFields(n *yaml.Node, depth int) ([]field, error) {
	n = resolveAlias(n)
	if d.left -= len(n.Content); d.left < 0 {
		return nil, d.invalid(n.Line, fmt.Sprintf("the file expands to more than %d values", maxYAMLValues))
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.fields(n, depth)
	case yaml.SequenceNode:
		var out []field
		for _, item := range n.Content {
			if item = resolveAlias(item); item.Kind != yaml.MappingNode {
				return nil, d.invalid(item.Line, "'<<' must merge mappings")
			}
			more, err := d.mergedFields(item, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		return out, nil
	}
	return nil, d.invalid(n.Line, "'<<' must merge a mapping")
}

// resolveAlias follows one alias; an anchor never names another alias.
func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// scalar reads a plain value; what does not fit its type stays text.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return f
		}
	}
	return n.Value
}

// describeNode names a node's type for a sentence.
func describeNode(n *yaml.Node) string {
	n = resolveAlias(n)
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "the truth value " + clip(n.Value)
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	}
	return "the text '" + clip(n.Value) + "'"
}

// clip shortens an author's text for use in a sentence of one line.
func clip(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
