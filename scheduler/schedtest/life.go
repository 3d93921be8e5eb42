package schedtest

import (
	"os"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

func endsWithExitCode(r *run) {
	before := time.Now().Add(-2 * time.Second) // Slurm counts whole seconds
	spec := r.spec("echo here is $(pwd)", "until [ -e go ]; do sleep 0.1; done", "exit 9")
	id := r.submit(spec)
	job := r.await(spec.Comment, "running", func(j scheduler.Job) bool { return j.State == scheduler.Running })
	if job.ID != id || job.Name != spec.Name || job.Node == "" || job.RawState == "" || job.ExitCode != 0 {
		r.Errorf("the running job is %+v", job)
	}
	if err := os.WriteFile(r.here("go"), nil, 0o666); err != nil {
		r.Fatal(err)
	}
	job = r.awaitEnd(spec.Comment)
	if job.State != scheduler.Failed || job.ExitCode != 9 || job.Signal != 0 || job.Reason == "" {
		r.Errorf("after exit 9: %+v", job)
	}
	for what, when := range map[string]time.Time{"submitted": job.Submitted, "started": job.Started, "ended": job.Ended} {
		if when.Before(before) || when.After(time.Now().Add(2*time.Second)) {
			r.Errorf("%s %s is not within this test", what, when)
		}
	}
	if out := r.read("out"); out != "here is "+r.there("")+"\n" {
		r.Errorf("output: %q", out)
	}
	spec = r.spec("true")
	r.submit(spec)
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Completed || job.ExitCode != 0 || job.Signal != 0 {
		r.Errorf("after exit 0: %+v", job)
	}
}

func endsBySignal(r *run) {
	spec := r.spec("kill -SEGV $$")
	r.submit(spec)
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Failed || job.Signal != 11 {
		r.Errorf("after SIGSEGV: %+v", job)
	}
}

// beating is a child that ignores TERM, notes it, and writes as long as it lives.
const beating = `( trap 'echo child got TERM >> child' TERM; while :; do echo . >> beat; sleep 0.1; done ) &`

func terminateBatchOnly(r *run) {
	spec := r.spec(beating, `trap 'sleep 1; cp child seen; echo batch got TERM; kill -KILL $!; exit 0' TERM`,
		"echo > child; echo ready", "while :; do sleep 0.1; done")
	id := r.submit(spec)
	r.awaitText("out", "ready")
	if err := r.Terminate(r.Context(), id); err != nil {
		r.Fatalf("terminate: %v", err)
	}
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Completed || job.ExitCode != 0 {
		r.Errorf("after a clean shutdown: %+v", job)
	}
	r.awaitText("out", "batch got TERM")
	if seen := r.read("seen"); seen != "\n" {
		r.Errorf("a second after the batch process, its child had: %q", seen)
	}
}

func cancelEndsAll(r *run) {
	spec := r.spec(beating, "trap '' TERM", "echo ready", "while :; do sleep 0.1; done")
	id := r.submit(spec)
	r.awaitText("out", "ready")
	r.awaitText("beat", ".")
	if err := r.Cancel(r.Context(), id); err != nil {
		r.Fatalf("cancel: %v", err)
	}
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Cancelled {
		r.Errorf("after cancel: %+v", job)
	}
	r.awaitText("child", "got TERM")
	r.stays("beat")
}

// stays checks that nothing writes to the file any more. That nothing happens has
// no event: five beats of the writer are given.
func (r *run) stays(name string) {
	r.Helper()
	before := len(r.read(name))
	time.Sleep(500 * time.Millisecond)
	if after := len(r.read(name)); after != before {
		r.Errorf("%s still grows: %d, then %d bytes; a process of the job is left", name, before, after)
	}
}

func cancelAsksFirst(r *run) {
	spec := r.spec("trap 'echo bye; exit 0' TERM", "echo ready", "while :; do sleep 0.1; done")
	id := r.submit(spec)
	r.awaitText("out", "ready")
	if err := r.Cancel(r.Context(), id); err != nil {
		r.Fatalf("cancel: %v", err)
	}
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Cancelled {
		r.Errorf("after cancel: %+v", job)
	}
	r.awaitText("out", "bye")
}

func endedAgain(r *run) {
	spec := r.spec("true")
	ended := r.submit(spec)
	r.awaitEnd(spec.Comment)
	for _, id := range []string{ended, r.UnknownID} {
		if err := r.Terminate(r.Context(), id); err != nil {
			r.Errorf("terminate %s: %v", id, err)
		}
		if err := r.Cancel(r.Context(), id); err != nil {
			r.Errorf("cancel %s: %v", id, err)
		}
	}
	if job, _ := r.job(spec.Comment); job.State != scheduler.Completed {
		r.Errorf("the ended job became %+v", job)
	}
}

func timeLimitWarns(r *run) {
	spec := r.spec(beating, `trap 'echo warned at $SECONDS' TERM`, "echo ready", "while :; do sleep 0.1; done")
	spec.TimeLimit, spec.WarnBefore = r.TimeLimit, r.WarnBefore
	r.submit(spec)
	r.Patience += r.TimeLimit
	r.awaitText("out", "warned")
	if r.read("child") != "" {
		r.Errorf("the warning reached more than the batch process: %s", r.read("child"))
	}
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Timeout {
		r.Errorf("after the time limit: %+v", job)
	}
	r.stays("beat")
}
