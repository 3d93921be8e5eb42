//go:build systems

package e2e

import (
	"context"
	"testing"
	"time"
)

// TestUpdate replaces a running application under its own id: what is not
// given stays, secrets included, the service id stays, and the old job goes.
func TestUpdate(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	run(t, ctx, "hello", "evolving", "--env", "Hello:_API_KEY=first secret", "--kwargs", `{"Hello": {"punctuation": "?"}}`)
	var before, after struct {
		Secret string `json:"secret_sha256"`
	}
	if err := call(ctx, "evolving", "whoami", nil, &before); err != nil {
		t.Fatal(err)
	}
	old := jobsOf(t, ctx, "evolving")
	started := status(t, ctx, "evolving")["start_time"]

	cli(t, ctx, "app", "run", "hello", "--id", "evolving", "--max-ongoing-requests", "3", "--wait")
	eventually(t, ctx, "one new job instead of the old one", func() bool {
		now := jobsOf(t, ctx, "evolving")
		return len(now) == 1 && now[0].ID != old[0].ID
	})
	var greeting string
	eventually(t, ctx, "the new replica greets with the old argument", func() bool {
		return call(ctx, "evolving", "greet", map[string]any{"name": "you"}, &greeting) == nil && greeting == "Hello, you?"
	})
	if err := call(ctx, "evolving", "whoami", nil, &after); err != nil || after.Secret != before.Secret || before.Secret == "" {
		t.Errorf("the secret was %q and is %q (%v)", before.Secret, after.Secret, err)
	}
	s := status(t, ctx, "evolving")
	if s["start_time"] != started || s["max_ongoing_requests"] != float64(3) {
		t.Errorf("start_time %v (was %v), max_ongoing_requests %v", s["start_time"], started, s["max_ongoing_requests"])
	}
}

// TestHostLost switches off the host of a replica: Slurm declares it down,
// the replica is replaced elsewhere, and calls are answered again.
func TestHostLost(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	run(t, ctx, "hello", "homeless")
	lost := jobsOf(t, ctx, "homeless")[0]
	if err := shared.Cluster.Off(ctx, lost.Node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := shared.Cluster.On(ctx, lost.Node); err != nil {
			t.Error(err)
		}
	})
	var who map[string]any
	eventually(t, ctx, "an answer from another host", func() bool {
		return call(ctx, "homeless", "whoami", nil, &who) == nil && who["host"] != lost.Node
	})
	eventually(t, ctx, "one job, on another host", func() bool {
		jobs := jobsOf(t, ctx, "homeless")
		return len(jobs) == 1 && jobs[0].ID != lost.ID && jobs[0].Node != lost.Node
	})
}
