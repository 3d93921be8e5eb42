//go:build systems

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestFaults drives examples/faulty through each way to fail and holds what
// the status says of it.
func TestFaults(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	cli(t, ctx, "app", "save", "examples/faulty")
	for _, c := range []struct{ fault, status, text string }{
		{"import", "DEPLOY_FAILED", "No module named 'a_package_that_nobody_has'"},
		{"init", "DEPLOY_FAILED", "ValueError: the constructor was told to fail"},
		{"async-init", "DEPLOY_FAILED", "FileNotFoundError: the weights are not where they should be"},
		{"health", "DEPLOY_FAILED", "RuntimeError: the device does not answer"},
		{"test", "UNHEALTHY", "Deployment test failed"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			id := "faulty-" + c.fault
			stopAfter(t, id)
			cli(t, ctx, "app", "run", "faulty", "--id", id, "--env", "Faulty:FAULT="+c.fault)
			var last map[string]any
			eventually(t, ctx, fmt.Sprintf("%s with %q", c.status, c.text), func() bool {
				last = status(t, ctx, id)
				return last["status"] == c.status && strings.Contains(fmt.Sprint(last), c.text)
			})
		})
	}

	id := "faulty"
	run(t, ctx, "faulty", id)
	life := func() (s string, err error) {
		err = call(ctx, id, "life", nil, &s)
		return s, err
	}

	t.Run("an error of a method reaches the caller with its class", func(t *testing.T) {
		err := call(ctx, id, "raise_error", map[string]any{"text": "three is not enough"}, nil)
		if err == nil || !strings.Contains(err.Error(), "ValueError: three is not enough") {
			t.Errorf("%v", err)
		}
	})
	for _, how := range []string{"exit", "kill", "segfault"} {
		t.Run("a crash by "+how+" ends the call and brings a new replica", func(t *testing.T) {
			before, err := life()
			if err != nil {
				t.Fatal(err)
			}
			err = call(ctx, id, "crash", map[string]any{"how": how}, nil)
			if err == nil || !strings.Contains(err.Error(), "ReplicaLost") {
				t.Errorf("the call ended with %v", err)
			}
			eventually(t, ctx, "a new replica", func() bool {
				after, err := life()
				return err == nil && after != before
			})
		})
	}
	t.Run("a replica that falls ill is replaced", func(t *testing.T) {
		before, err := life()
		if err != nil {
			t.Fatal(err)
		}
		var none any
		if err := call(ctx, id, "fall_ill", nil, &none); err != nil {
			t.Fatal(err)
		}
		eventually(t, ctx, "a new replica", func() bool {
			after, err := life()
			return err == nil && after != before
		})
	})
	t.Run("a replica that hangs is replaced, and its callers hear of it", func(t *testing.T) {
		err := call(ctx, id, "hang", map[string]any{"seconds": 600}, nil)
		if err == nil || !strings.Contains(err.Error(), "ReplicaLost") {
			t.Errorf("the call ended with %v", err)
		}
		eventually(t, ctx, "a replica that answers", func() bool { _, err := life(); return err == nil })
	})
}
