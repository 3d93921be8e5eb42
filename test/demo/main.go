// Command demo shows the product at work: it starts a real Hypha server with
// artifacts and the controller, uploads examples, calls them with ordinary
// clients, prints answers and logs, and stops everything again.
//
//	demo local   the local back end on this machine, without a container
//	demo slurm   a Slurm cluster in namespaces, through sbatch and Apptainer
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 || (os.Args[1] != "local" && os.Args[1] != "slurm") {
		fmt.Fprintln(os.Stderr, "usage: demo local|slurm")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1] == "slurm"); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run; say prints a line with the time since its start.
type demo struct {
	*site.Site
	begun time.Time
}

func (d *demo) say(format string, args ...any) {
	fmt.Printf("[%5.1f s] %s\n", time.Since(d.begun).Seconds(), fmt.Sprintf(format, args...))
}

func run(ctx context.Context, slurm bool) (err error) {
	d := &demo{begun: time.Now()}
	parts := []bed.Part{bed.PartHypha}
	if slurm {
		parts = bed.Parts()
	}
	d.say("building what is missing (the first run takes minutes)")
	if err := bed.Prepare(ctx, os.Stdout, parts...); err != nil {
		return err
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	d.say("starting Hypha with S3%s", map[bool]string{true: ", and a Slurm cluster of a login host and 3 compute hosts"}[slurm])
	d.Site, err = site.Start(ctx, site.Options{Slurm: slurm, Bin: bin})
	if err != nil {
		return err
	}
	defer func() {
		d.say("stopping everything")
		err = errors.Join(err, d.Stop())
		d.say("done")
	}()
	if slurm {
		d.say("the controller runs as %s on the login host; applications run in Apptainer, submitted with sbatch", "alice")
	} else {
		d.say("the controller uses the LOCAL back end: this machine's own Python, no container, no Slurm")
	}
	if err := d.StartController(ctx); err != nil {
		return err
	}
	d.say("the controller serves %s at %s", d.WorkerID, d.Hypha.URL)
	if err := d.hello(ctx); err != nil {
		return d.withLog(err)
	}
	if slurm {
		return d.withLog(d.composition(ctx))
	}
	return nil
}

// withLog adds the end of the controller's log to an error.
func (d *demo) withLog(err error) error {
	if err == nil {
		return nil
	}
	log, _ := os.ReadFile(d.ControllerLog())
	return fmt.Errorf("%w\nend of the controller's log:\n%s", err, site.Tail(log, 4000))
}

func (d *demo) hello(ctx context.Context) error {
	out, err := d.CLI(ctx, d.Token, "app", "save", "examples/hello")
	if err != nil {
		return err
	}
	d.say("uploaded examples/hello:\n%s", indent(out))
	if out, err = d.Python(ctx, d.Token, "test/clients/guide.py", d.Workspace+"/hello"); err != nil {
		return err
	}
	d.say("an ordinary hypha-rpc client ran it, called it and stopped it:\n%s", indent(out))
	return nil
}

func (d *demo) composition(ctx context.Context) error {
	if _, err := d.CLI(ctx, d.Token, "app", "save", "examples/composition"); err != nil {
		return err
	}
	if _, err := d.CLI(ctx, d.Token, "app", "run", "composition", "--id", "composition", "--kwargs", `{"Pipeline": {"label": "cells"}}`, "--wait"); err != nil {
		return err
	}
	d.say("examples/composition runs: one job per replica")
	out, err := d.Cluster.Output(ctx, "login", "alice", "squeue", "--me", "-h", "-o", "%i %j %T %N cpus=%C mem=%m gres=%b")
	if err != nil {
		return err
	}
	fmt.Println(indent(out))
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		id, _, _ := strings.Cut(line, " ")
		job, err := d.Cluster.Output(ctx, "login", "alice", "scontrol", "show", "job", "-o", id)
		if err != nil {
			return err
		}
		for _, field := range strings.Fields(job) {
			if strings.HasPrefix(field, "AllocTRES=") || strings.HasPrefix(field, "TresPerNode=") || strings.HasPrefix(field, "JobName=") {
				fmt.Println("    scontrol:", field)
			}
		}
	}
	if out, err = d.Python(ctx, d.Token, "test/clients/composition.py", d.Workspace+"/composition"); err != nil {
		return err
	}
	d.say("its entry called both helpers, in these hosts:\n%s", indent(out))
	if out, err = d.CLI(ctx, d.Token, "app", "stop", "composition", "--wait"); err != nil {
		return err
	}
	d.say("%s", strings.TrimSpace(out))
	return nil
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
