package worker

import (
	"fmt"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// Bounds of what run_application is given: it is stored, shown in each status
// and sent to every replica.
const (
	maxClasses     = 64
	maxKwargsBytes = 4 << 20 // packed, all classes together
	maxKwargsDepth = 64
)

// kwargsArg reads application_kwargs: class -> constructor keywords.
func kwargsArg(r *hypha.Request) (map[string]map[string]any, error) {
	const name = "application_kwargs"
	given, err := classesArg(r, name, "keyword arguments")
	if err != nil || given == nil {
		return nil, err
	}
	kwargs := make(map[string]map[string]any, len(given))
	total := 0
	for class, values := range given {
		if err := checkPlain(values, maxKwargsDepth); err != nil {
			return nil, valueError("Value for '%s' in %s cannot be used: %s", class, name, err)
		}
		packed, err := pack(values)
		if err != nil {
			return nil, valueError("Value for '%s' in %s cannot be used: %s", class, name, err)
		}
		if total += len(packed); total > maxKwargsBytes {
			return nil, valueError("%s is larger than %d MiB. Please pass large data by file or URL.", name, maxKwargsBytes>>20)
		}
		kwargs[class] = values
	}
	return kwargs, nil
}

// classesArg reads a mapping of class names to mappings of what.
func classesArg(r *hypha.Request, name, what string) (map[string]map[string]any, error) {
	if r.Args[name] == nil {
		return nil, nil
	}
	given, ok := r.Args[name].(map[string]any)
	if !ok {
		return nil, valueError("%s must be a dictionary of %s.", name, what)
	}
	if len(given) > maxClasses {
		return nil, valueError("%s has %d keys, at most %d are allowed.", name, len(given), maxClasses)
	}
	classes := make(map[string]map[string]any, len(given))
	for class, value := range given {
		values, ok := value.(map[string]any)
		if !ok {
			return nil, valueError("Value for '%s' in %s must be a dictionary.", class, name)
		}
		classes[class] = values
	}
	return classes, nil
}

// checkPlain admits what can be stored: functions, arrays and other values of
// Hypha's own lose their meaning once the call is over.
func checkPlain(v any, depth int) error {
	if depth == 0 {
		return fmt.Errorf("it is nested deeper than %d", maxKwargsDepth)
	}
	switch v := v.(type) {
	case nil, bool, int64, uint64, float64, string, []byte:
		return nil
	case []any:
		for _, item := range v {
			if err := checkPlain(item, depth-1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for key, item := range v {
			if err := checkPlain(item, depth-1); err != nil {
				return fmt.Errorf("'%s': %w", key, err)
			}
		}
		return nil
	}
	return fmt.Errorf("a value of type %s cannot be stored; use numbers, strings, bytes, lists and dictionaries", pythonType(v))
}
