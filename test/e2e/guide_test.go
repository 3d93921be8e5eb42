//go:build systems

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

// TestGuide runs an unchanged script in the style of the user guide.
func TestGuide(t *testing.T) {
	t.Run("on Slurm and Apptainer", func(t *testing.T) {
		guide(t, shared)
		node(t, shared)
	})
	t.Run("on the local back end", func(t *testing.T) {
		ctx := within(t, 2*time.Minute)
		bin, err := filepath.Abs("bin/race")
		if err != nil {
			t.Fatal(err)
		}
		s, err := site.Start(ctx, site.Options{Bin: bin})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		if err := s.StartController(ctx); err != nil {
			t.Fatal(err)
		}
		guide(t, s)
		node(t, s)
	})
}

func guide(t *testing.T, s *site.Site) {
	ctx := within(t, 2*time.Minute)
	if _, err := s.CLI(ctx, s.Token, "app", "save", "examples/hello"); err != nil {
		t.Fatal(err)
	}
	out, err := s.Python(ctx, s.Token, "test/clients/guide.py", s.Workspace+"/hello")
	if err != nil {
		log, _ := os.ReadFile(s.ControllerLog())
		t.Fatalf("%v\ncontroller:\n%s", err, site.Tail(log, 6000))
	}
	for _, want := range []string{
		"answer: Hello, BioEngine!\n", "secret: c4bbcb1fbec9", "array: float32 (3, 4)\n",
		"status: Hello HEALTHY\n", "greeted BioEngine", "greeting number", "stopped\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the script did not print %q; it printed:\n%s", want, out)
		}
	}
}

// node makes the same call with the JavaScript client.
func node(t *testing.T, s *site.Site) {
	ctx := within(t, 2*time.Minute)
	app := func(args ...string) {
		if _, err := s.CLI(ctx, s.Token, append([]string{"app"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	app("run", "hello", "--id", "node-hello", "--wait")
	out, err := s.Node(ctx, s.Token, "test/clients/call.cjs", s.Workspace+"/node-hello", "greet", "Node")
	if err != nil || !strings.Contains(out, "Hello, Node!") {
		t.Errorf("%q, %v", out, err)
	}
	app("stop", "node-hello", "--wait")
}

// TestComposition deploys three deployments, one job each, and holds what
// each job was granted against what its decorator asked for.
func TestComposition(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	cli(t, ctx, "app", "save", "examples/composition")
	run(t, ctx, "composition", "composition", "--kwargs", `{"Pipeline": {"label": "cells"}}`)
	jobs := jobsOf(t, ctx, "composition")
	if len(jobs) != 3 {
		t.Fatalf("%d jobs: %+v", len(jobs), jobs)
	}
	want := map[string][]string{
		"Pipeline":   {" NumCPUs=1 ", "mem=400M,"},
		"Statistics": {" NumCPUs=2 ", "mem=300M,"},
		"Model":      {" NumCPUs=1 ", "mem=512M,", " TresPerNode=gres/gpu:1 "},
	}
	for _, j := range jobs {
		class := strings.Split(j.Name, "-")[2]
		record, err := shared.Cluster.Output(ctx, "login", "alice", "scontrol", "show", "job", "-o", j.ID)
		if err != nil {
			t.Fatal(err)
		}
		fields := " " + record + " "
		for _, part := range want[class] {
			if !strings.Contains(fields, part) {
				t.Errorf("%s: %q is not in %s", class, part, record)
			}
		}
		if gpu := strings.Contains(fields, "gres/gpu"); gpu != (class == "Model") {
			t.Errorf("%s: GPUs %v in %s", class, gpu, record)
		}
	}
	if out, err := shared.Python(ctx, shared.Token, "test/clients/composition.py", shared.Workspace+"/composition"); err != nil {
		t.Error(err)
	} else {
		fmt.Print(out)
	}
}
