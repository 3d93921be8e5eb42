package manifest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/manifest/python"
)

// maxSeconds keeps durations far from overflow.
const maxSeconds = 366 * 24 * 3600

// unknownMember says that a part of a value is known only at run time.
type unknownMember struct{ why string }

func (u unknownMember) Error() string { return u.why }

// complaint says what an option must be; text replaces the usual sentence.
type complaint struct{ want, text string }

func (c complaint) Error() string { return c.want + c.text }

func want(format string, args ...any) error { return complaint{want: fmt.Sprintf(format, args...)} }

// read converts one option. None counts as absent, as in Ray; a wrong value
// becomes a problem, an unknown one is Runtime.
func read[T any](r *optionReader, d *python.Mapping, key string, convert func(python.Value) (T, error)) Value[T] {
	v, ok := d.Get(key)
	if !ok || v.Kind == python.None {
		return Value[T]{}
	}
	place := r.place(v.Line)
	if v.Kind == python.Unknown {
		return atRunTime[T](place, v.Why)
	}
	result, err := convert(v)
	var unknown unknownMember
	var wrong complaint
	switch {
	case err == nil:
		return Value[T]{State: Constant, Value: result, Place: place}
	case errors.As(err, &unknown):
		return atRunTime[T](place, unknown.why)
	case errors.As(err, &wrong) && wrong.text != "":
		r.problems.add(CodeOption, place, "%s", wrong.text)
	default:
		r.complain(key, v, err.Error())
	}
	return Value[T]{}
}

func asText(v python.Value) (string, error) {
	if v.Kind != python.Str {
		return "", want("a string")
	}
	return v.Str, nil
}

// asAmount reads a number of CPUs, GPUs or bytes.
func asAmount(v python.Value) (float64, error) {
	amount, ok := v.Float, v.Kind == python.Float
	if v.Kind == python.Int {
		amount, ok = float64(v.Int), true
	}
	if !ok || amount < 0 || math.IsNaN(amount) || math.IsInf(amount, 0) {
		return 0, want("a number of 0 or more")
	}
	return amount, nil
}

func asAmounts(v python.Value) (map[string]float64, error) {
	out := map[string]float64{}
	err := eachEntry(v, "a dictionary of numbers", func(key string, v python.Value) error {
		amount, err := asAmount(v)
		if err != nil {
			return want("a dictionary of numbers of 0 or more, '%s' too", clip(key))
		}
		out[key] = amount
		return nil
	})
	return out, err
}

// asCount reads a whole number of at least min.
func asCount(min int64, wanted string) func(python.Value) (int, error) {
	return func(v python.Value) (int, error) {
		if v.Kind != python.Int || v.Int < min || v.Int > math.MaxInt32 {
			return 0, want("%s", wanted)
		}
		return int(v.Int), nil
	}
}

func asQueue(v python.Value) (int, error) {
	if v.Kind == python.Int && v.Int == -1 {
		return -1, nil
	}
	return asCount(1, "a whole number of 1 or more, or -1 for no limit")(v)
}

func asSeconds(v python.Value) (time.Duration, error) {
	seconds, err := asAmount(v)
	if err != nil || seconds > maxSeconds {
		return 0, want("a number of seconds of 0 or more")
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// asLogLevel reads a name or one of logging's numbers.
func asLogLevel(v python.Value) (string, error) {
	switch v.Kind {
	case python.Str:
		return strings.ToUpper(v.Str), nil
	case python.Int:
		return strconv.FormatInt(v.Int, 10), nil
	}
	return "", want("the name of a log level")
}

// asPip reads a list of requirements, or Ray's longer form with "packages".
func asPip(v python.Value) ([]string, error) {
	const wanted = "a list of requirement strings"
	if v.Kind == python.Dict {
		packages, ok := v.Dict.Get("packages")
		if !ok {
			return nil, want(wanted)
		}
		v = packages
	}
	if v.Kind == python.Unknown {
		return nil, unknownMember{v.Why}
	}
	if v.Kind != python.List && v.Kind != python.Tuple {
		return nil, want(wanted)
	}
	out := []string{}
	for _, item := range v.Items {
		switch {
		case item.Kind == python.Unknown:
			return nil, unknownMember{item.Why}
		case item.Kind != python.Str, strings.ContainsAny(item.Str, "\n\r\x00"):
			return nil, want(wanted + ", each on one line")
		}
		out = append(out, item.Str)
	}
	return out, nil
}

func asEnvVars(v python.Value) (map[string]string, error) {
	out := map[string]string{}
	err := eachEntry(v, "a dictionary of strings", func(key string, v python.Value) error {
		switch {
		case v.Kind != python.Str:
			return complaint{text: fmt.Sprintf("Environment variable '%s' must be a string, got %s.", clip(key), v.Kind)}
		case key == "", strings.ContainsAny(key, "=\x00"), strings.Contains(v.Str, "\x00"):
			return want("a dictionary of strings without '=' in a name and without NUL, '%s' too", clip(key))
		}
		out[key] = v.Str
		return nil
	})
	return out, err
}

// eachEntry visits a dictionary with string keys, all of which is known.
func eachEntry(v python.Value, wanted string, visit func(key string, v python.Value) error) error {
	if v.Kind != python.Dict {
		return want("%s", wanted)
	}
	if v.Dict.Rest != nil {
		return unknownMember{v.Dict.Rest.Why}
	}
	for _, e := range v.Dict.Entries {
		if e.Key.Kind != python.Str {
			return want("%s", wanted)
		}
		if e.Value.Kind == python.Unknown {
			return unknownMember{e.Value.Why}
		}
		if err := visit(e.Key.Str, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// asAutoscaling reads the dictionary form of an AutoscalingConfig.
func asAutoscaling(v python.Value) (map[string]any, error) {
	literal, err := asLiteral(v)
	if err != nil {
		return nil, err
	}
	config, ok := literal.(map[string]any)
	if !ok {
		return nil, want("a dictionary")
	}
	low, high := replicas(config, "min_replicas", 1), replicas(config, "max_replicas", 1)
	switch {
	case low < 0 || high < 1 || replicas(config, "initial_replicas", low) < 0:
		return nil, want("a dictionary whose numbers of replicas are whole and not negative")
	case low > high:
		return nil, complaint{text: fmt.Sprintf("Option 'autoscaling_config' has min_replicas %d above max_replicas %d.", low, high)}
	}
	return config, nil
}

// replicas returns a whole number of a configuration, or -1 for anything else.
func replicas(config map[string]any, key string, absent int64) int64 {
	v, ok := config[key]
	if !ok || v == nil {
		return absent
	}
	if count, ok := v.(int64); ok {
		return count
	}
	return -1
}

// asLiteral turns a constant into what JSON can carry; tuples and sets become
// lists, as they do on the way to reconfigure().
func asLiteral(v python.Value) (any, error) {
	switch v.Kind {
	case python.Unknown:
		return nil, unknownMember{v.Why}
	case python.None:
		return nil, nil
	case python.Bool:
		return v.Bool, nil
	case python.Int:
		return v.Int, nil
	case python.Float:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return nil, unknownMember{"it holds a number that is not finite"}
		}
		return v.Float, nil
	case python.Str:
		return v.Str, nil
	case python.Dict:
		return asLiteralDict(v)
	}
	out := make([]any, len(v.Items))
	for i, item := range v.Items {
		literal, err := asLiteral(item)
		if err != nil {
			return nil, err
		}
		out[i] = literal
	}
	return out, nil
}

func asLiteralDict(v python.Value) (any, error) {
	out := map[string]any{}
	for _, e := range v.Dict.Entries {
		if e.Key.Kind != python.Str {
			return nil, want("a value whose dictionaries have string keys")
		}
		literal, err := asLiteral(e.Value)
		if err != nil {
			return nil, err
		}
		out[e.Key.Str] = literal
	}
	if v.Dict.Rest != nil {
		return nil, unknownMember{v.Dict.Rest.Why}
	}
	return out, nil
}
