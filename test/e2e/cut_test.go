//go:build systems && full

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestHostCutOff pulls the network cable of a replica's host. The replica is
// replaced; when the cable is back, the first copy finds itself superseded
// and ends, so that no two copies serve.
func TestHostCutOff(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	run(t, ctx, "hello", "islander")
	first := jobsOf(t, ctx, "islander")[0]
	if err := shared.Cluster.Cut(ctx, first.Node); err != nil {
		t.Fatal(err)
	}
	var who map[string]any
	eventually(t, ctx, "an answer from another host", func() bool {
		return call(ctx, "islander", "whoami", nil, &who) == nil && who["host"] != first.Node
	})
	if err := shared.Cluster.Mend(ctx, first.Node); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "no agent is left on the host that was cut off", func() bool {
		out, err := shared.Cluster.Output(ctx, first.Node, "root", "pgrep", "-c", "bioengine-agent")
		return err != nil && strings.TrimSpace(out) == "0"
	})
	if err := shared.Cluster.WaitNode(ctx, first.Node, "idle"); err != nil {
		t.Log(err) // Slurm takes its time; the host itself is what was tested
	}
	if jobs := jobsOf(t, ctx, "islander"); len(jobs) != 1 || jobs[0].ID == first.ID {
		t.Errorf("%+v", jobs)
	}
}
