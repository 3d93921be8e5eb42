//go:build systems

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// kills is how often the controller is killed.
const kills = 20

// tally is what test/clients/pounder.py prints at its end.
type tally struct {
	Started, Right, Wrong, Errors, Hanging int
	Longest                                float64
	Kinds                                  map[string]int
}

// TestControllerKilled kills the controller at random instants with calls in
// flight. After each restart the same service answers with the same ids and
// the same start time, Slurm holds exactly one job per replica, and in the end
// every call has had one answer or one error.
func TestControllerKilled(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	run(t, ctx, "hello", "phoenix")
	cli(t, ctx, "app", "save", "examples/composition")
	run(t, ctx, "composition", "phoenix-composed", "--kwargs", `{"Pipeline": {"label": "cells"}}`)
	before := status(t, ctx, "phoenix")
	jobsBefore := append(jobsOf(t, ctx, "phoenix"), jobsOf(t, ctx, "phoenix-composed")...)

	p := startPounder(t, ctx, shared.Workspace+"/phoenix", 8)
	for i := range kills {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // the instant is what is tested
		if err := shared.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := shared.StartController(ctx); err != nil {
			t.Fatal(err)
		}
		var who map[string]any
		eventually(t, ctx, fmt.Sprintf("an answer after kill %d", i+1), func() bool {
			return call(ctx, "phoenix", "whoami", nil, &who) == nil
		})
	}
	var after map[string]any
	eventually(t, ctx, "the status is RUNNING again", func() bool {
		after = status(t, ctx, "phoenix")
		return after["status"] == "RUNNING"
	})
	if before["start_time"] != after["start_time"] {
		t.Errorf("start_time was %v and is %v", before["start_time"], after["start_time"])
	}
	if b, a := fmt.Sprint(before["service_ids"]), fmt.Sprint(after["service_ids"]); a != b {
		t.Errorf("service ids were %s and are %s", b, a)
	}
	if after["recovered_app"] != true {
		t.Errorf("recovered_app is %v", after["recovered_app"])
	}
	eventually(t, ctx, "the composed application is RUNNING again", func() bool {
		return status(t, ctx, "phoenix-composed")["status"] == "RUNNING"
	})
	sameJobs(t, jobsBefore, append(jobsOf(t, ctx, "phoenix"), jobsOf(t, ctx, "phoenix-composed")...))
	if _, err := shared.Python(ctx, shared.Token, "test/clients/composition.py", shared.Workspace+"/phoenix-composed"); err != nil {
		t.Errorf("calls between deployments: %v", err)
	}
	got := p.finish(t)
	t.Logf("%d kills: %+v", kills, got)
	if got.Wrong != 0 || got.Hanging != 0 || got.Right+got.Errors != got.Started || got.Right == 0 {
		t.Errorf("calls were lost or answered wrongly: %+v", got)
	}
}

// TestControllerKilledWhileDeploying kills it between accepting an
// application and its being ready: each replica still gets exactly one job.
func TestControllerKilledWhileDeploying(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	cli(t, ctx, "app", "save", "examples/composition")
	for i := range 6 {
		id := fmt.Sprintf("interrupted-%d", i)
		stopAfter(t, id)
		cli(t, ctx, "app", "run", "composition", "--id", id, "--kwargs", `{"Pipeline": {"label": "cells"}}`)
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // the instant is what is tested
		if err := shared.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := shared.StartController(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, ctx, id+" is RUNNING", func() bool { return status(t, ctx, id)["status"] == "RUNNING" })
		eventually(t, ctx, "exactly one job per replica", func() bool { return len(jobsOf(t, ctx, id)) == 3 })
		cli(t, ctx, "app", "stop", id, "--wait")
	}
}

func sameJobs(t *testing.T, before, after []bed.Job) {
	t.Helper()
	ids := map[string]bool{}
	for _, j := range before {
		ids[j.ID] = true
	}
	if len(before) != len(after) {
		t.Errorf("%d jobs before, %d after: %+v", len(before), len(after), after)
	}
	for _, j := range after {
		if !ids[j.ID] {
			t.Errorf("job %s (%s) is new", j.ID, j.Name)
		}
	}
}

// pounder is a client that keeps calls in flight.
type pounder struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPounder(t *testing.T, ctx context.Context, service string, callers int) *pounder {
	t.Helper()
	python, err := bed.Python(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, python, "test/clients/pounder.py", service, fmt.Sprint(callers))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + shared.Dir, "SERVER_URL=" + shared.Hypha.URL, "TOKEN=" + shared.Token}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pounder{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if line, err := p.out.ReadString('\n'); strings.TrimSpace(line) != "ready" {
		t.Fatalf("the client did not get ready: %q, %v", line, err)
	}
	return p
}

func (p *pounder) finish(t *testing.T) (got tally) {
	t.Helper()
	fmt.Fprintln(p.in, "stop")
	b, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return got
}
