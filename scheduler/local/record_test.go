package local

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

func spec(dir string, lines ...string) scheduler.Spec {
	return scheduler.Spec{Name: "n", Comment: "c", Script: "#!/bin/bash\n" + strings.Join(lines, "\n") + "\n",
		WorkDir: dir, Output: dir + "/out", CPUs: 1}
}

func submit(t *testing.T, l *Local, s scheduler.Spec) record {
	t.Helper()
	id, err := l.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := l.find(id)
	if !ok {
		t.Fatalf("job %s has no record", id)
	}
	t.Cleanup(func() { _ = l.Cancel(t.Context(), id) })
	return r
}

// await asks until the job's state is the wanted one.
func await(t *testing.T, l *Local, id string, want func(scheduler.Job) bool) scheduler.Job {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		jobs, err := l.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			if j.ID == id && want(j) {
				return j
			}
		}
		if time.Now().After(end) {
			t.Fatalf("job %s: waited in vain; jobs are %+v", id, jobs)
		}
	}
}

func ended(j scheduler.Job) bool { return j.State.Ended() }

const forever = "while :; do sleep 0.1; done"

func TestAnotherProcessWithTheSamePidIsNotMistakenForTheJob(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	r := submit(t, l, spec(t.TempDir(), "true"))
	await(t, l, r.id, ended)

	bystander := exec.Command("sleep", "60")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	start, _, err := procStat(bystander.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// The record of a job whose pid has been given to the bystander.
	pid := bystander.Process.Pid
	run := fmt.Sprintf("%d %d %d %d\n", pid, start-1, pid, start-1)
	if err := os.WriteFile(r.file("run"), []byte(run), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.file("exit")); err != nil {
		t.Fatal(err)
	}
	if job := r.job(l.boot); job.State != scheduler.Failed || !strings.Contains(job.Reason, "supervisor") {
		t.Errorf("the job is %+v", job)
	}
	for name, order := range map[string]func() error{
		"terminate": func() error { return l.Terminate(t.Context(), r.id) },
		"cancel":    func() error { return l.Cancel(t.Context(), r.id) },
	} {
		if err := order(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := (process{pid, start}); !now.alive() {
		t.Error("the bystander was killed")
	}
}

func TestAJobWithoutItsSupervisorIsStillSeenAndEnded(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir(), Keep: time.Hour})
	r := submit(t, l, spec(t.TempDir(), "trap '' TERM", forever))
	if err := r.supervisor(l.boot).signal(9); err != nil {
		t.Fatal(err)
	}
	await(t, l, r.id, func(scheduler.Job) bool { return !r.supervisor(l.boot).alive() })
	if job := r.job(l.boot); job.State != scheduler.Running {
		t.Fatalf("without its supervisor the running job is %+v", job)
	}
	if err := l.Cancel(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	job := await(t, l, r.id, ended)
	if job.State != scheduler.Failed || time.Since(job.Ended) > 20*time.Second {
		t.Errorf("afterwards the job is %+v", job)
	}
}

func TestAJobOfAnEarlierBootHasFailedWithItsNode(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	r := submit(t, l, spec(t.TempDir(), forever))
	if job := r.job("another boot"); job.State != scheduler.NodeFail || job.Ended.IsZero() {
		t.Errorf("after a restart of the machine the job is %+v", job)
	}
}

func TestEndedJobsAreForgottenButNoIDIsGivenOutTwice(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Config{Dir: dir, Keep: time.Nanosecond})
	for want := 1; want <= 3; want++ {
		l = open(t, Config{Dir: dir, Keep: time.Nanosecond}) // as after a restart
		r := submit(t, l, spec(t.TempDir(), "true"))
		if r.number != want {
			t.Errorf("job %d got the id %s", want, r.id)
		}
		await(t, l, r.id, ended)
	}
	jobs, err := l.Jobs(t.Context())
	if err != nil || len(jobs) != 1 || jobs[0].ID != "local-3" {
		t.Errorf("jobs %+v, error %v; want the newest only", jobs, err)
	}
}

func TestEachGPUBelongsToOneJobAtATime(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir(), GPUs: 3})
	ask := func(n int) scheduler.Spec {
		s := spec(t.TempDir(), "echo $CUDA_VISIBLE_DEVICES", forever)
		s.GPUs = n
		return s
	}
	first, second := submit(t, l, ask(1)), submit(t, l, ask(2))
	if got := commaList(first.GPUs) + " " + commaList(second.GPUs); got != "0 1,2" {
		t.Errorf("the GPUs are given out as %s", got)
	}
	if _, err := l.Submit(t.Context(), ask(1)); !scheduler.Is(err, scheduler.Refused) {
		t.Errorf("a fourth GPU: %v", err)
	}
	if err := l.Cancel(t.Context(), first.id); err != nil {
		t.Fatal(err)
	}
	await(t, l, first.id, ended)
	if third := submit(t, l, ask(1)); commaList(third.GPUs) != "0" {
		t.Errorf("the GPU that came free was not used again, but %v", third.GPUs)
	}
}

func TestGPUsAreRefusedWhereNoneIsConfigured(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	s := spec(t.TempDir(), "true")
	s.GPUs = 1
	_, err := l.Submit(t.Context(), s)
	if !scheduler.Is(err, scheduler.Refused) || !strings.Contains(err.Error(), "asks for 1 GPUs") {
		t.Errorf("a job with a GPU: %v", err)
	}
}

func TestNothingOfAnEndedJobRuns(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	left := fmt.Sprintf("300.%d", os.Getpid()) // recognisable in a command line
	s := spec(t.TempDir(), "( set -m; sleep "+left+" & )", "sleep 0.2")
	s.TimeLimit, s.WarnBefore = time.Hour, time.Minute
	r := submit(t, l, s)
	if !mentioned(t, left) {
		t.Error("the child that the job leaves behind was not started")
	}
	await(t, l, r.id, ended)
	await(t, l, r.id, func(scheduler.Job) bool {
		return !mentioned(t, r.dir) && !mentioned(t, left) && !r.supervisor(l.boot).alive()
	})
	if _, err := os.Stat(r.file("life")); !os.IsNotExist(err) {
		t.Errorf("the life line is left: %v", err)
	}
}

// mentioned says whether a process has text in its command line.
func mentioned(t *testing.T, text string) bool {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && strings.Contains(string(line), text) {
			return true
		}
	}
	return false
}
