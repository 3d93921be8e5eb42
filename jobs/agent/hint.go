package agent

import (
	"fmt"
	"regexp"
	"strings"
)

// hints say what to try, by what stands in an error. The first match counts; $1 is its first group.
var hints = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{
		regexp.MustCompile(`No module named '(hypha_rpc|msgpack|cloudpickle|pydantic)\b`),
		"the image lacks the Python package $1, which every application needs: install hypha-rpc (0.20.81 or newer), pydantic and cloudpickle into it",
	},
	{
		regexp.MustCompile(`No module named '([\w.]+)'`),
		"the image lacks the Python module $1: install it into the image; packages of runtime_env pip are not installed",
	},
	{
		regexp.MustCompile(`fork/exec .*: no such file`),
		"the image has no such program: set the path of its Python (3.11 or newer)",
	},
	{regexp.MustCompile(`exec format error`), "the image is made for another processor architecture than the node's"},
	{regexp.MustCompile(`(?i)SyntaxError.*bioengine_runtime|requires Python|from __future__`), "the image's Python is too old: 3.11 or newer is needed"},
	{regexp.MustCompile(`^killed$|OutOfMemory|MemoryError`), "the memory limit is the usual reason: ask for more with ray_actor_options memory, or under slurm"},
	{regexp.MustCompile(`No space left on device`), "the node's disk, or the container's temporary folder (64 MB unless configured), is full"},
}

// hint returns what to try about an error, or "".
func hint(text string) string {
	for _, h := range hints {
		if found := h.pattern.FindStringSubmatchIndex(text); found != nil {
			return string(h.pattern.ExpandString(nil, h.text, text, found))
		}
	}
	return ""
}

// endedEarly is the error of a child that ended before it was ready and did not say why.
func endedEarly(code int, signal string, lastErr string) string {
	how := fmt.Sprintf("exit code %d", code)
	if signal != "" {
		how = "signal: " + signal
	}
	text := "PythonEnded: Python ended before the deployment was ready (" + how + ")"
	if lastErr != "" {
		text += ": " + strings.TrimSpace(lastErr)
	}
	return text
}
