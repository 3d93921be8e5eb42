package main

import (
	"cmp"
	"fmt"
	"strings"
)

// row is one figure; show returns "" where it was not measured.
type row struct {
	what, goal, original string
	show                 func(Stage) string
}

// original are the figures of the Ray-based worker that this one follows,
// measured on a machine with 2 cores and a local Hypha server (design 7).
func (r *Result) rows() []row {
	agents := fmt.Sprintf("%d", r.Agents)
	return []row{
		{"Small call, one at a time: p50", "", "86 ms", func(s Stage) string { return both(s.Small, 50) }},
		{"… added by controller, agent and link", "≤ 0.5 ms", "83 ms", func(s Stage) string { return added(s.Small, 50) }},
		{"… ratio to plain hypha-rpc", "≤ 1.1", "27", func(s Stage) string { return ratio(s.Small.Ours, s.Small.Plain) }},
		{"Small call: p99", "", "", func(s Stage) string { return both(s.Small, 99) }},
		{"… added", "", "", func(s Stage) string { return added(s.Small, 99) }},
		{"CPU of the controller per small call", "", "", func(s Stage) string {
			return fmt.Sprintf("%.2f ms", 1000*s.Small.Controller.CPUSeconds/float64(len(s.Small.Ours)))
		}},
		{"32 callers: calls/s", "", "3–60", func(s Stage) string {
			return fmt.Sprintf("%.0f (plain %.0f)", mean(s.Rates.Ours), mean(s.Rates.Plain))
		}},
		{"… as a share of plain", "≥ 1.0", "0.005–0.1", func(s Stage) string {
			return fmt.Sprintf("%.2f", mean(s.Rates.Ours)/mean(s.Rates.Plain))
		}},
		{"5 MiB array there and back, median", "", "", func(s Stage) string {
			return fmt.Sprintf("%.0f ms (plain %.0f ms)", median(s.Arrays.Ours), median(s.Arrays.Plain))
		}},
		{"… ratio to plain", "≤ 0.8", "", func(s Stage) string { return ratio(s.Arrays.Ours, s.Arrays.Plain) }},
		{"Controller's highest memory under these calls", "≤ 250 MB", "", func(s Stage) string {
			return fmt.Sprintf("%.0f MB", mb(s.Arrays.Controller.HighestRSS))
		}},
		{"Idle controller: memory", "≤ 60 MB", "838 MB", func(s Stage) string { return memoryOf(s.Idle) }},
		{"Idle controller: CPU of a core", "≤ 0.1 %", "13 %", func(s Stage) string { return cpuOf(s.Idle) }},
		{"Controller with " + agents + " agents: memory", "", "", func(s Stage) string { return crowded(s, memoryOf) }},
		{"… per agent", "≤ 50 KB", "", func(s Stage) string {
			return crowded(s, func(u *Usage) string { return perAgent(u, s.Idle, r.Agents) })
		}},
		{"Controller with " + agents + " agents: CPU of a core", "", "", func(s Stage) string { return crowded(s, cpuOf) }},
		{"Controller start → service registered, median", "≤ 1 s", "21 s", func(s Stage) string { return fmt.Sprintf("%.2f s", median(seconds(s.Starts[1:]))) }},
		{"… the first: no state yet, and a workspace new to the server", "", "", func(s Stage) string { return fmt.Sprintf("%.2f s", s.Starts[0].Seconds()) }},
		{"`run_application` → RUNNING, everything cached, median", "≤ 2 s", "7 s", func(s Stage) string { return fmt.Sprintf("%.2f s", median(running(s.Runs))) }},
	}
}

// figures is the table of goals and what was reached.
func (r *Result) figures() string {
	var p strings.Builder
	p.WriteString("\n## Figures\n\n| figure | goal | the original |")
	for _, s := range r.Stages {
		p.WriteString(" " + title(s.Name) + " |")
	}
	p.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(r.Stages)) + "\n")
	for _, row := range r.rows() {
		fmt.Fprintf(&p, "| %s | %s | %s |", row.what, row.goal, row.original)
		for _, s := range r.Stages {
			p.WriteString(" " + cmp.Or(row.show(s), "–") + " |")
		}
		p.WriteString("\n")
	}
	p.WriteString("\nThe original is the Ray-based worker whose applications run here unchanged, measured on another machine with 2 cores and a local Hypha.\n")
	return p.String()
}

func title(stage string) string {
	if stage == "slurm" {
		return "**cluster**: Slurm, Apptainer, TLS between hosts"
	}
	return "**local** back end: no container, TLS on loopback"
}

func running(runs []Run) []float64 { return pick(runs, func(r Run) float64 { return r.Running }) }

func both(p Pair, percent float64) string {
	return fmt.Sprintf("%.2f ms (plain %.2f ms)", percentile(p.Ours, percent), percentile(p.Plain, percent))
}

func added(p Pair, percent float64) string {
	return fmt.Sprintf("%+.2f ms", percentile(p.Ours, percent)-percentile(p.Plain, percent))
}

func ratio(ours, plain []float64) string { return fmt.Sprintf("%.2f", median(ours)/median(plain)) }

func mean(samples []float64) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += s
	}
	return sum / float64(len(samples))
}

func memoryOf(u *Usage) string {
	if u == nil {
		return ""
	}
	return fmt.Sprintf("%.1f MB", mb(u.RSSBytes))
}

func cpuOf(u *Usage) string {
	if u == nil {
		return ""
	}
	return fmt.Sprintf("%.3f %%, and %.2f %% in `squeue`", u.cpuPercent(), u.childPercent())
}

func crowded(s Stage, show func(*Usage) string) string {
	if s.Crowd == nil {
		return ""
	}
	return show(&s.Crowd.Usage)
}

func perAgent(with, without *Usage, agents int) string {
	return fmt.Sprintf("%.0f KB", float64(with.RSSBytes-without.RSSBytes)/1000/float64(agents))
}
