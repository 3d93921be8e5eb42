//go:build systems

package sbatch_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

func TestSlurmsSpoolHoldsNothingOfTheControllersEnvironment(t *testing.T) {
	t.Setenv("HYPHA_TOKEN", "canary-0b51ae")
	s := newSite(t)
	if _, err := s.slurm.Submit(t.Context(), s.spec("held", "true", "--hold")); err != nil {
		t.Fatal(err)
	}
	job := s.await("held", func(j scheduler.Job) bool { return j.State == scheduler.Pending })
	if job.Reason != "JobHeldUser" {
		t.Errorf("the held job waits for %q", job.Reason)
	}
	root, err := s.HostRoot("login")
	if err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(root, "var/spool/slurmctld")
	if files, err := filepath.Glob(filepath.Join(spool, "hash.*/job.*/script")); err != nil || len(files) != 1 {
		t.Fatalf("the spool holds the scripts %v, %v", files, err)
	}
	found, err := exec.CommandContext(t.Context(), "grep", "-rl", os.Getenv("HYPHA_TOKEN"), spool).Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the token is in %s, %v", found, err)
	}
	if shown := s.onLogin("scontrol show job " + job.ID); strings.Contains(shown, "canary") || !strings.Contains(shown, "Requeue=0") {
		t.Errorf("scontrol shows:\n%s", shown)
	}
	if err := s.slurm.Terminate(t.Context(), job.ID); err != nil {
		t.Error(err)
	}
	if job := s.await("held", func(j scheduler.Job) bool { return j.State.Ended() }); job.State != scheduler.Cancelled {
		t.Errorf("a pending job that was told to end is %+v", job)
	}
}

func TestTheControllersLimitsAreNotTheJobs(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 7 << 10, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &old) })
	s := newSite(t)
	if _, err := s.slurm.Submit(t.Context(), s.spec("limits", "ulimit -c")); err != nil {
		t.Fatal(err)
	}
	s.await("limits", func(j scheduler.Job) bool { return j.State.Ended() })
	out, err := os.ReadFile(filepath.Join(s.Home("alice"), "limits"))
	if limit := strings.TrimSpace(string(out)); err != nil || limit == "" || limit == "7" {
		t.Errorf("the job's limit of core files is %q, %v", limit, err)
	}
}
