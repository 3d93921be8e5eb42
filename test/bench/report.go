package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// page is docs/benchmarks.md: everything on it comes from the result.
func (r *Result) page() string {
	var p strings.Builder
	fmt.Fprintf(&p, "# Benchmarks\n\nWritten by `make bench`; do not edit. Measured on %s at commit %s, in %.0f s.\n", r.Date, r.Commit, r.Seconds)
	if r.Quick {
		fmt.Fprintf(&p, "\n**Made with little effort (`-quick`): to try the benchmark, not to be quoted.**\n")
	}
	p.WriteString(r.surroundings())
	p.WriteString(r.figures())
	p.WriteString(r.starting())
	p.WriteString(method + r.microBenchmarks())
	return p.String()
}

// surroundings say what was measured on and with.
func (r *Result) surroundings() string {
	m, l := r.Machine, r.Load
	var p strings.Builder
	fmt.Fprintf(&p, "\n## Machine\n\n| | |\n|---|---|\n")
	fmt.Fprintf(&p, "| Machine | %d × %s, %.0f GB of memory, %s, Linux %s. Everything ran on it: clients, Hypha, controller, Slurm, jobs |\n", m.Cores, cmp.Or(m.CPU, "unknown CPU"), mb(m.MemoryBytes)/1000, m.System, m.Kernel)
	fmt.Fprintf(&p, "| Before the run | load %.1f, %.0f %% of the CPUs busy with other work |\n", l.Before, l.BusyPercent)
	fmt.Fprintf(&p, "| During the run | load median %.1f, highest %.1f, the benchmark's own included |\n", l.Median, l.Max)
	fmt.Fprintf(&p, "| Built with | %s, release builds |\n", m.Go)
	for _, line := range r.Versions {
		what, version, _ := strings.Cut(line, "  ")
		fmt.Fprintf(&p, "| %s | %s |\n", what, strings.TrimSpace(version))
	}
	return p.String()
}

// starting breaks run_application down.
func (r *Result) starting() string {
	var p strings.Builder
	p.WriteString("\n## From run_application to RUNNING\n\nMedian seconds, and the slowest run. The steps after the first are those that the status shows; RUNNING also needs the service's registration and the client's look at the status.\n\n")
	p.WriteString("| |")
	steps := map[string]bool{}
	for _, s := range r.Stages {
		p.WriteString(" " + s.Name + " |")
		for _, run := range s.Runs {
			for step := range run.Steps {
				steps[step] = true
			}
		}
	}
	p.WriteString("\n|---|" + strings.Repeat("---|", len(r.Stages)) + "\n")
	line := func(what string, number func(Run) float64) {
		fmt.Fprintf(&p, "| %s |", what)
		for _, s := range r.Stages {
			all := pick(s.Runs, number)
			fmt.Fprintf(&p, " %.3f (%.3f) |", median(all), slices.Max(all))
		}
		p.WriteString("\n")
	}
	line("`run_application` returns", func(run Run) float64 { return run.Accepted })
	for _, step := range slices.SortedFunc(maps.Keys(steps), byOrder) {
		line("step "+step, func(run Run) float64 { return run.Steps[step] })
	}
	line("RUNNING", func(run Run) float64 { return run.Running })
	return p.String()
}

// stepOrder is in which order a replica goes through its steps; environment
// contains python.
var stepOrder = []string{"queue", "image", "environment", "python", "import", "init", "async_init", "check_health"}

func byOrder(a, b string) int {
	return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
}

func place(step string) int {
	if i := slices.Index(stepOrder, step); i >= 0 {
		return i
	}
	return len(stepOrder)
}
