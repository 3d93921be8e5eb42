// Command bench measures the product on real systems and writes
// docs/benchmarks.md from what it saw. It fails when a call fails, never
// because something is slow. `make bench` runs it on release builds.
//
// The files are the measurements: starts.go, calls.go, usage.go, crowd.go;
// stage.go puts them in order, report.go and figures.go write the page.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// effort is how much to measure. Times are of this machine's clock, not
// limits: a slow machine yields fewer samples, not a longer run.
type effort struct {
	Starts  int           // of the controller
	Runs    int           // of run_application
	Small   time.Duration // of small calls, both services together
	Load    time.Duration
	Array   time.Duration
	Idle    time.Duration // of watching a controller that does nothing
	Agents  int
	Settled time.Duration // between the last join and watching the crowd's controller
}

var (
	whole = effort{Starts: 5, Runs: 5, Small: 15 * time.Second, Load: 24 * time.Second, Array: 24 * time.Second, Idle: time.Minute, Agents: 1000, Settled: 10 * time.Second}
	quick = effort{Starts: 2, Runs: 1, Small: 3 * time.Second, Load: 8 * time.Second, Array: 3 * time.Second, Idle: 5 * time.Second, Agents: 30, Settled: time.Second}
)

// settings are the command line.
type settings struct {
	bin, page, raw, date, commit, sites string
	quick                               bool
	agents                              int
}

func main() {
	var s settings
	flag.StringVar(&s.bin, "bin", "bin", "folder of the two programs, release builds")
	flag.StringVar(&s.page, "page", "docs/benchmarks.md", "page to write")
	flag.StringVar(&s.raw, "raw", "bin/benchmarks.json", "file for all samples")
	flag.StringVar(&s.date, "date", "unknown", "date to print on the page")
	flag.StringVar(&s.commit, "commit", "unknown", "commit to print on the page")
	flag.StringVar(&s.sites, "sites", "local,slurm", "where to measure; slurm needs root on Debian")
	flag.BoolVar(&s.quick, "quick", false, "a tenth of the effort, to try the benchmark itself")
	flag.IntVar(&s.agents, "agents", 0, "agents of the crowd, if not the usual number")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	effort
	bin   string // absolute
	begun time.Time
	found Result
}

func run(ctx context.Context, s settings) error {
	b := &bench{effort: whole, begun: time.Now()}
	if s.quick {
		b.effort = quick
	}
	b.Agents = cmp.Or(s.agents, b.Agents)
	var err error
	if b.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	parts := []bed.Part{bed.PartHypha}
	if strings.Contains(s.sites, "slurm") {
		parts = bed.Parts()
	}
	b.say("building what is missing of the test bed")
	if err := bed.Prepare(ctx, os.Stdout, parts...); err != nil {
		return err
	}
	if err := b.measure(ctx, s); err != nil {
		return err
	}
	b.say("writing %s and %s", s.page, s.raw)
	samples, err := json.MarshalIndent(b.found, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(s.raw, samples, 0o644), os.WriteFile(s.page, []byte(b.found.page()), 0o644))
}

func (b *bench) measure(ctx context.Context, s settings) (err error) {
	b.found = Result{Date: s.date, Commit: s.commit, Quick: s.quick, Agents: b.Agents}
	if b.found.Machine, err = thisMachine(); err != nil {
		return err
	}
	if b.found.micro, err = findMicro(); err != nil {
		return err
	}
	load, err := watchLoad(ctx)
	if err != nil {
		return err
	}
	b.say("before the run: load %.1f, %.0f %% of the CPUs busy", load.Before, load.BusyPercent)
	defer func() { b.found.Load, b.found.Seconds = load.end(), time.Since(b.begun).Seconds() }()
	for name := range strings.SplitSeq(s.sites, ",") {
		stage, err := b.stage(ctx, name == "slurm")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.found.Stages = append(b.found.Stages, *stage)
	}
	return nil
}

// say prints progress with the time since the start.
func (b *bench) say(format string, args ...any) {
	fmt.Printf("[%5.1f s] %s\n", time.Since(b.begun).Seconds(), fmt.Sprintf(format, args...))
}
