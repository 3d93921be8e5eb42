package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/manifest/python"
)

const (
	textUnexpected = "Unexpected parameter '%s' provided. Expected one of %s"
	textWrongType  = "Parameter '%s' must be of type %s, but got %s."
	textRequired   = "Missing required parameter '%s' of type %s."
)

// CheckKwargs checks application_kwargs, class name to keyword to value, against
// the constructors' static signatures (contract 3.4). Values are as decoded from
// Hypha. Classes that are not in the application are ignored, and what is not
// known statically is left to the runtime. The error names its first problem.
func (a *Application) CheckKwargs(kwargs map[string]map[string]any) error {
	for i := range a.Deployments {
		d := &a.Deployments[i]
		if !d.InitKnown {
			continue
		}
		if problem := d.checkKwargs(kwargs[d.Class]); problem != nil {
			return problem
		}
	}
	return nil
}

func (d *Deployment) checkKwargs(given map[string]any) error {
	open := slices.ContainsFunc(d.InitParams, func(p Param) bool { return p.Kind == ParamVarKeyword })
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := slices.IndexFunc(d.InitParams, func(p Param) bool { return p.Name == name && p.named() })
		if at < 0 && open {
			continue
		}
		if at < 0 {
			return d.wrong(d.Place, textUnexpected, clip(name), pythonList(d.paramNames()))
		}
		if p := d.InitParams[at]; !p.accepts(given[name]) {
			return d.wrong(p.Place, textWrongType, name, p.Annotation, pythonType(given[name]))
		}
	}
	for _, p := range d.InitParams {
		if _, ok := given[p.Name]; ok || p.HasDefault || p.IsHandle() || !p.named() {
			continue
		}
		annotation := p.Annotation
		if annotation == "" {
			annotation = "unknown"
		}
		return d.wrong(p.Place, textRequired, p.Name, annotation)
	}
	return nil
}

func (d *Deployment) wrong(place Place, format string, args ...any) error {
	return &Error{Code: CodeArguments, Message: fmt.Sprintf(format, args...), Place: place}
}

// accepts is Python's isinstance for the annotations that can be judged here;
// any other annotation, and a string one, accepts everything.
func (p Param) accepts(v any) bool {
	got := pythonType(v)
	if p.Quoted || got == "" {
		return true
	}
	switch p.Type {
	case "bool", "str", "float", "list", "dict", "bytes":
		return got == p.Type
	case "int":
		return got == "int" || got == "bool"
	case typeHandle:
		return false // nothing that travels over Hypha is one
	}
	return true
}

// pythonType is the Python class that a decoded value has in the replica; ""
// for values of which Go knows nothing.
func pythonType(v any) string {
	if v == nil {
		return "NoneType"
	}
	if _, ok := v.([]byte); ok {
		return "bytes"
	}
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "str"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Map:
		// A map with _rtype is some other value, encoded by hypha-rpc.
		if value.Type().Key().Kind() == reflect.String && value.MapIndex(reflect.ValueOf("_rtype").Convert(value.Type().Key())).IsValid() {
			return ""
		}
		return "dict"
	}
	return ""
}

// pythonList writes names as Python prints a list.
func pythonList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = python.Quote(name)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
