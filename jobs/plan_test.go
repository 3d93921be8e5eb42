package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

func constant[T any](v T) manifest.Value[T] {
	return manifest.Value[T]{State: manifest.Constant, Value: v, Place: manifest.Place{File: "main.py", Line: 7}}
}

var site = Site{Image: "/images/default.sif", Partition: "gpu", Images: []string{"/images/*.sif"}, GPUTypes: map[string]string{"A100": "a100"}, Options: []string{"--licenses=*"}}

func planOne(t *testing.T, o manifest.Options, change func(*Application, *Site)) (Allocation, error) {
	t.Helper()
	app := Application{ID: "app", Deployments: []Deployment{{Name: "Main", File: "main", Class: "Main", Options: o}}}
	s := site
	if change != nil {
		change(&app, &s)
	}
	plan, err := MakePlan(app, s)
	if err != nil {
		return Allocation{}, err
	}
	return plan.Allocations[0], nil
}

func TestPlan(t *testing.T) {
	t.Run("rounds resources up and says so", func(t *testing.T) {
		a, err := planOne(t, manifest.Options{NumCPUs: constant(1.5), NumGPUs: constant(0.25), MemoryBytes: constant(1e9)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.Spec.CPUs != 2 || a.Spec.GPUs != 1 || a.Spec.MemoryMiB != 954 {
			t.Errorf("%+v", a.Spec)
		}
		text := ""
		for _, v := range a.Values {
			text += v.Name + " " + v.Flag + " " + v.Origin + " " + v.Note + "\n"
		}
		for _, want := range []string{"CPUs --cpus-per-task=2 main.py:7 1.5 rounded up", "GPUs --gres=gpu:1 main.py:7 0.25 rounded up", "memory --mem=954M main.py:7", "partition --partition=gpu site default"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
	})
	for _, c := range []struct {
		name   string
		o      manifest.Options
		change func(*Application, *Site)
		check  func(Allocation) bool
	}{
		{"no wishes: one CPU, the site's memory, four hours", manifest.Options{}, nil, func(a Allocation) bool {
			return a.Spec.CPUs == 1 && a.Spec.MemoryMiB == 0 && a.Spec.TimeLimit == 4*time.Hour && a.Spec.WarnBefore == time.Minute
		}},
		{"zero CPUs is one", manifest.Options{NumCPUs: constant(0.0)}, nil, func(a Allocation) bool { return a.Spec.CPUs == 1 }},
		{"little memory is raised to the floor", manifest.Options{MemoryBytes: constant(1e6)}, nil, func(a Allocation) bool { return a.Spec.MemoryMiB == 256 }},
		{"disable_gpu wins", manifest.Options{NumGPUs: constant(2.0)}, func(a *Application, _ *Site) { a.DisableGPU = true }, func(a Allocation) bool { return a.Spec.GPUs == 0 }},
		{"an accelerator becomes a GRES type", manifest.Options{NumGPUs: constant(1.0), AcceleratorType: constant("A100")}, nil, func(a Allocation) bool { return a.Spec.GPUType == "a100" }},
		{"a long shutdown lengthens the warning", manifest.Options{GracefulShutdownTimeout: constant(90 * time.Second)}, nil, func(a Allocation) bool { return a.Spec.WarnBefore == 2*time.Minute }},
		{"the slurm block wins over the decorator", manifest.Options{NumCPUs: constant(1.0)}, func(a *Application, _ *Site) {
			a.Slurm = &manifest.Slurm{CPUs: 3, Places: map[string]manifest.Place{"cpus": {File: "manifest.yaml", Line: 9}}}
		}, func(a Allocation) bool { return a.Spec.CPUs == 3 && a.Values[0].Origin == "manifest.yaml:9" }},
		{"the site's longest time wins over the block", manifest.Options{}, func(a *Application, s *Site) {
			a.Slurm = &manifest.Slurm{Time: 48 * time.Hour}
			s.MaxTime = 24 * time.Hour
		}, func(a Allocation) bool { return a.Spec.TimeLimit == 24*time.Hour }},
		{"an allowed image of the manifest", manifest.Options{}, func(a *Application, _ *Site) { a.Slurm = &manifest.Slurm{Image: "/images/own.sif"} }, func(a Allocation) bool { return a.Image == "/images/own.sif" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := planOne(t, c.o, c.change)
			if err != nil || !c.check(a) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	for _, c := range []struct {
		name   string
		o      manifest.Options
		change func(*Application, *Site)
		want   string
	}{
		{"an unknown accelerator", manifest.Options{NumGPUs: constant(1.0), AcceleratorType: constant("H200")}, nil, `accelerator_type "H200" is not known at this site; ask the administrator to add it to gpu_types (main.py:7)`},
		{"too many replicas", manifest.Options{NumReplicas: constant(1000)}, nil, "1000 replicas are more than the 64 this site allows (main.py:7)"},
		{"a forbidden image", manifest.Options{}, func(a *Application, _ *Site) { a.Slurm = &manifest.Slurm{Image: "/tmp/own.sif"} }, "not allowed at this site"},
		{"a host image under Slurm", manifest.Options{}, func(_ *Application, s *Site) { s.Image = "host:/usr/bin/python3" }, "does not fit the back end"},
		{"a forbidden option", manifest.Options{}, func(a *Application, _ *Site) { a.Slurm = &manifest.Slurm{Options: []string{"--uid=0"}} }, `"--uid=0" of the manifest is not allowed`},
		{"too little time", manifest.Options{}, func(a *Application, _ *Site) { a.Slurm = &manifest.Slurm{Time: 30 * time.Second} }, "too short"},
		{"no image at all", manifest.Options{}, func(_ *Application, s *Site) { s.Image = "" }, "no image is configured"},
	} {
		t.Run(c.name+" is refused", func(t *testing.T) {
			if _, err := planOne(t, c.o, c.change); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("one job per replica", func(t *testing.T) {
		app := Application{Deployments: []Deployment{{Name: "A", Class: "A", Options: manifest.Options{NumReplicas: constant(3)}}, {Name: "B", Class: "B"}}}
		plan, err := MakePlan(app, site)
		if err != nil || len(plan.Allocations) != 4 {
			t.Errorf("%d jobs, %v", len(plan.Allocations), err)
		}
	})
}

func TestComment(t *testing.T) {
	c := jobComment("instance", "allocation")
	if got := allocationOf(c, "instance"); got != "allocation" {
		t.Errorf("%q", got)
	}
	for _, other := range []string{"", "x", jobComment("another", "allocation"), "allocation"} {
		if got := allocationOf(other, "instance"); got != "" {
			t.Errorf("%q was taken for ours: %q", other, got)
		}
	}
}

func TestRouter(t *testing.T) {
	fresh := func() *router { return &router{ongoing: map[string]int{}, changed: make(chan struct{})} }
	t.Run("spreads calls and never exceeds a replica's limit", func(t *testing.T) {
		rt := fresh()
		rt.set([]target{{tag: "a", max: 2}, {tag: "b", max: 2}})
		count := map[string]int{}
		for range 4 {
			got, err := rt.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			count[got.tag]++
		}
		if count["a"] != 2 || count["b"] != 2 {
			t.Errorf("%v", count)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := rt.acquire(ctx); err == nil {
			t.Error("a fifth call was let through")
		}
	})
	t.Run("a waiting call gets the place that becomes free", func(t *testing.T) {
		rt := fresh()
		rt.set([]target{{tag: "a", max: 1}})
		first, err := rt.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { _, err := rt.acquire(t.Context()); got <- err }()
		rt.release(first)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
	t.Run("a waiting call gets the replica that comes", func(t *testing.T) {
		rt := fresh()
		got := make(chan error)
		go func() { _, err := rt.acquire(t.Context()); got <- err }()
		rt.set([]target{{tag: "new", max: 1}})
		if err := <-got; err != nil {
			t.Error(err)
		}
		if rt.waiting != 0 {
			t.Errorf("%d calls are counted as waiting", rt.waiting)
		}
	})
}
