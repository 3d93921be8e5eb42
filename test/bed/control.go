package bed

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Off powers a compute host off at once: everything in it is killed. Slurm notices after about 21 s, or when told.
func (c *Cluster) Off(ctx context.Context, host string) error { return c.switchHost(ctx, "off", host) }

// On powers a compute host on again; Slurm takes it back by itself a few seconds later (WaitNode).
func (c *Cluster) On(ctx context.Context, host string) error { return c.switchHost(ctx, "on", host) }

// Cut pulls the host's network cable: its processes run on and reach nobody.
func (c *Cluster) Cut(ctx context.Context, host string) error { return c.switchHost(ctx, "cut", host) }

// Mend plugs the host's network cable in again. Slurm may take a minute to take it back; a SIGHUP to its slurmd (pid in /run/slurm/slurmd.pid) hurries it.
func (c *Cluster) Mend(ctx context.Context, host string) error {
	return c.switchHost(ctx, "mend", host)
}

func (c *Cluster) switchHost(ctx context.Context, how, host string) error {
	said, err := exec.CommandContext(ctx, c.script("hostctl.sh"), c.run, how, host).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s host %s: %w\n%s", how, host, err, tail(said))
	}
	return nil
}

// Job is a line of squeue.
type Job struct {
	ID, User, Name, State, Reason, Node, Comment string
}

// Squeue lists every job that Slurm remembers, of all users, ended ones (for 5 minutes) only with all.
func (c *Cluster) Squeue(ctx context.Context, all bool) ([]Job, error) {
	argv := []string{"squeue", "--noheader", "--format=%i\x1f%u\x1f%j\x1f%T\x1f%r\x1f%N\x1f%k"}
	if all {
		argv = append(argv, "--states=all")
	}
	text, err := c.Output(ctx, "login", "root", argv...)
	if err != nil || text == "" {
		return nil, err
	}
	var jobs []Job
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\x1f")
		if len(f) != 7 {
			return nil, fmt.Errorf("squeue printed %q", line)
		}
		jobs = append(jobs, Job{ID: f[0], User: f[1], Name: f[2], State: f[3], Reason: f[4], Node: f[5], Comment: f[6]})
	}
	return jobs, nil
}

// WaitIdle waits until no job is queued, running or completing. A test that shares its cluster cancels its jobs and then
// waits here.
func (c *Cluster) WaitIdle(ctx context.Context) error {
	return c.poll(ctx, "the cluster to be idle", func() (string, bool, error) {
		jobs, err := c.Squeue(ctx, false)
		return fmt.Sprintf("%+v", jobs), len(jobs) == 0, err
	})
}

// WaitNode waits until Slurm shows a compute host in that state, such as "idle", "mixed" or "down" (sinfo's words without
// their marks).
func (c *Cluster) WaitNode(ctx context.Context, host, state string) error {
	return c.poll(ctx, host+" to be "+state, func() (string, bool, error) {
		text, err := c.Output(ctx, "login", "root", "sinfo", "--noheader", "--Node", "--nodes="+host, "--partition=cpu", "--format=%T")
		return text, strings.TrimRight(text, "*~#!%$@^-+") == state, err
	})
}

// poll asks every 100 ms until it is so; Slurm has no event to wait for.
func (c *Cluster) poll(ctx context.Context, what string, ask func() (string, bool, error)) error {
	for {
		said, so, err := ask()
		if so && err == nil {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; it is %s", what, ctx.Err(), said)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
