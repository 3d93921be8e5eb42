//go:build systems

package sbatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/sbatch"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// site is a cluster whose slurmctld is made to fail.
type site struct {
	*testing.T
	*bed.Cluster
	slurm *sbatch.Slurm
}

func newSite(t *testing.T) site {
	c := startCluster(t, bed.ClusterConfig{Nodes: 1})
	return site{t, c, openSlurm(t, c)}
}

// onLogin runs a shell command as root on the login host.
func (s site) onLogin(command string) string {
	s.Helper()
	out, err := s.Output(context.WithoutCancel(s.Context()), "login", "root", "sh", "-c", command)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

const slurmctld = "$(cat /run/slurm/slurmctld.pid)"

func (s site) spec(comment, script string, options ...string) scheduler.Spec {
	return scheduler.Spec{Name: "outage", Comment: comment, Script: "#!/bin/bash\n" + script + "\n", WorkDir: "/home/alice",
		Output: "/home/alice/" + comment, CPUs: 1, MemoryMiB: 64, Options: options}
}

// await asks until the job with this comment is as wanted; errors are answers too,
// for slurmctld may just be coming back.
func (s site) await(comment string, is func(scheduler.Job) bool) scheduler.Job {
	s.Helper()
	var last scheduler.Job
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var jobs []scheduler.Job
		jobs, err = s.slurm.Jobs(s.Context())
		for _, j := range jobs {
			if last = j; j.Comment == comment && is(j) {
				return j
			}
		}
	}
	s.Fatalf("job %q: waited in vain; last seen %+v, error %v", comment, last, err)
	return last
}

func running(j scheduler.Job) bool { return j.State == scheduler.Running }

func TestSlurmctldThatIsDownIsUnreachableAndJobsGoOn(t *testing.T) {
	s := newSite(t)
	id, err := s.slurm.Submit(t.Context(), s.spec("before", "while :; do sleep 0.1; done"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.await("before", running)
	s.onLogin("kill " + slurmctld + "; while scontrol ping | grep -q UP; do sleep 0.1; done")
	var wg sync.WaitGroup // each takes Slurm's own time-out of some seconds
	for what, call := range map[string]func() error{
		"jobs":       func() error { _, err := s.slurm.Jobs(t.Context()); return err },
		"partitions": func() error { _, err := s.slurm.Partitions(t.Context()); return err },
		"submit":     func() error { _, err := s.slurm.Submit(t.Context(), s.spec("during", "true")); return err },
		"terminate":  func() error { return s.slurm.Terminate(t.Context(), id) },
		"cancel":     func() error { return s.slurm.Cancel(t.Context(), id) },
	} {
		wg.Go(func() {
			var e *scheduler.Error
			if err := call(); !errors.As(err, &e) || e.Kind != scheduler.Unreachable || e.Hint == "" {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	wg.Wait()
	s.onLogin("slurmctld")
	if after := s.await("before", running); after.ID != id || !after.Started.Equal(before.Started) {
		t.Errorf("the running job was %+v and is %+v", before, after)
	}
	if err := s.slurm.Cancel(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// TestASubmissionWhoseAnswerIsLostIsUnclear stops slurmctld in its tracks: sbatch
// has handed the job over and hears nothing.
func TestASubmissionWhoseAnswerIsLostIsUnclear(t *testing.T) {
	s := newSite(t)
	s.onLogin("kill -STOP " + slurmctld)
	_, err := s.slurm.Submit(t.Context(), s.spec("lost", "true"))
	if !scheduler.Is(err, scheduler.Unclear) {
		t.Errorf("the error is %v", err)
	}
	t.Log(err)
	s.onLogin("kill -CONT " + slurmctld)
	job := s.await("lost", func(j scheduler.Job) bool { return j.State.Ended() })
	t.Logf("the job whose submission was unclear: %+v", job)
}
