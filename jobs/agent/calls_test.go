package agent

import (
	"fmt"
	"slices"
	"testing"
)

func TestCalls(t *testing.T) {
	t.Run("open_calls_are_listed_until_settled", func(t *testing.T) {
		c := newCalls()
		if !c.begin("a") || !c.begin("b") || c.arrived("a", true) || c.arrived("b", true) {
			t.Fatal("a call was cancelled by itself")
		}
		c.settle("a")
		if got := c.keys(); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("open: %q", got)
		}
	})
	t.Run("call_settled_before_it_was_noted_is_not_open", func(t *testing.T) {
		c := newCalls()
		c.begin("a")
		c.settle("a") // Python answers at once
		if c.arrived("a", true) || len(c.keys()) > 0 {
			t.Fatalf("open: %q", c.keys())
		}
	})
	t.Run("call_that_did_not_arrive_is_not_open", func(t *testing.T) {
		c := newCalls()
		c.begin("a")
		if c.arrived("a", false) || len(c.keys()) > 0 {
			t.Fatalf("open: %q", c.keys())
		}
	})
	t.Run("cancellation_waits_for_the_arrival", func(t *testing.T) {
		c := newCalls()
		c.begin("a")
		if c.cancel("a") {
			t.Fatal("Python would be told of a call that it does not have")
		}
		if !c.arrived("a", true) {
			t.Fatal("the cancellation was forgotten")
		}
	})
	t.Run("open_call_is_cancelled_at_once", func(t *testing.T) {
		c := newCalls()
		c.begin("a")
		c.arrived("a", true)
		if !c.cancel("a") {
			t.Fatal("Python is not told")
		}
	})
	t.Run("early_cancellations_are_bounded", func(t *testing.T) {
		c := newCalls()
		for i := range 10 * maxEarly {
			c.cancel(fmt.Sprint(i))
		}
		if len(c.early) != maxEarly || !c.begin("0") || c.begin(fmt.Sprint(10*maxEarly-1)) {
			t.Fatalf("%d are kept, from %s", len(c.early), c.early[0])
		}
	})
}

func TestHints(t *testing.T) {
	for text, want := range map[string]string{
		"ModuleNotFoundError: No module named 'hypha_rpc'":                  "install hypha-rpc",
		"ModuleNotFoundError: No module named 'torch.nn'":                   "the Python module torch.nn",
		"PythonNotStarted: fork/exec /x/python3: no such file or directory": "Python (3.11 or newer)",
		"fork/exec /x: exec format error":                                   "architecture",
		"killed":                                                            "memory",
		"OSError: [Errno 28] No space left on device":                       "temporary folder",
		"ValueError: the author's own":                                      "",
	} {
		if got := hint(text); want == "" && got != "" || want != "" && !contains(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
