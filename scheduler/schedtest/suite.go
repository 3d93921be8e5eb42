// Package schedtest owns the promises that every scheduler back end keeps: one
// suite of tests, run by the back ends' own tests against the real thing. Its main
// type is Suite; only tests import it.
package schedtest

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Suite is one back end and the facts about it that the tests need.
type Suite struct {
	// Open returns the back end. Called again it returns a second one over the same
	// jobs, as a restarted controller would make.
	Open func(t *testing.T) scheduler.Scheduler
	// JobDir is a folder in which jobs may write, and TestDir the same folder as
	// the tests see it.
	JobDir, TestDir string
	// GPUs says that jobs can have a GPU.
	GPUs bool
	// UnknownID is well-formed and belongs to no job.
	UnknownID string
	// TimeLimit and WarnBefore are the shortest that make sense here. Zero: the
	// time limit is not tested.
	TimeLimit, WarnBefore time.Duration
	// Patience is how long a job may take to start or, once it has been told, to
	// end.
	Patience time.Duration
}

// Secret is put into this process's environment; no job may see it.
const Secret = "canary-7d1f0c55"

// Run runs all tests of the suite, in parallel.
func Run(t *testing.T, s Suite) {
	setenv(t, "HYPHA_TOKEN", Secret)
	setenv(t, "SBATCH_COMMENT", Secret)
	t.Run("promises", func(t *testing.T) {
		for name, test := range s.tests() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(newRun(t, s))
			})
		}
	})
}

func (s Suite) tests() map[string]func(*run) {
	tests := map[string]func(*run){
		"a_job_is_seen_and_ends_with_its_exit_code":     endsWithExitCode,
		"a_job_killed_by_a_signal_says_which":           endsBySignal,
		"output_is_appended":                            outputAppended,
		"the_script_arrives_byte_for_byte":              scriptUnchanged,
		"the_environment_holds_nothing_of_ours":         environmentScrubbed,
		"name_and_comment_come_back_as_sent":            commentRoundTrip,
		"terminate_reaches_only_the_batch_process":      terminateBatchOnly,
		"cancel_ends_all_processes_of_the_job":          cancelEndsAll,
		"cancel_asks_before_it_kills":                   cancelAsksFirst,
		"ended_and_unknown_jobs_can_be_ended_again":     endedAgain,
		"an_impossible_request_is_refused_without_job":  impossibleRefused,
		"a_cancelled_context_ends_every_call":           contextEnds,
		"many_submissions_at_once_give_one_job_each":    concurrentSubmissions,
		"another_instance_finds_and_ends_the_same_jobs": restartFindsJobs,
		"partitions_have_a_default_that_fits":           partitionsKnown,
	}
	if s.GPUs {
		tests["a_job_with_a_gpu_is_told_which"] = gpuAssigned
	}
	if s.TimeLimit > 0 {
		tests["the_time_limit_warns_the_batch_process_first"] = timeLimitWarns
	}
	return tests
}

// setenv is t.Setenv for tests with parallel children.
func setenv(t *testing.T, name, value string) {
	old, had := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if had {
			_ = os.Setenv(name, old)
		} else {
			_ = os.Unsetenv(name)
		}
	})
}

// run is one test: a back end, a folder of its own, and helpers that fail the test.
type run struct {
	*testing.T
	Suite
	scheduler.Scheduler
	dir string // name of the folder below JobDir and TestDir
}

func newRun(t *testing.T, s Suite) *run {
	r := &run{T: t, Suite: s, Scheduler: s.Open(t), dir: strings.ToLower(rand.Text())}
	if err := os.Mkdir(r.here(""), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.here(""), 0o777); err != nil { // jobs may run as somebody else
		t.Fatal(err)
	}
	return r
}

// here and there are a file of this test as the test and as the job see it.
func (r *run) here(name string) string  { return filepath.Join(r.TestDir, r.dir, name) }
func (r *run) there(name string) string { return filepath.Join(r.JobDir, r.dir, name) }

// spec is a small job with the given lines as its script.
func (r *run) spec(lines ...string) scheduler.Spec {
	return scheduler.Spec{
		Name: "schedtest", Comment: "schedtest " + strings.ToLower(rand.Text()),
		Script:  "#!/bin/bash\nPATH=/usr/bin:/bin\n" + strings.Join(lines, "\n") + "\n",
		WorkDir: r.there(""), Output: r.there("out"), CPUs: 1, MemoryMiB: 64,
	}
}

// submit hands over the job and sees to it that nothing of it stays.
func (r *run) submit(spec scheduler.Spec) (id string) {
	r.Helper()
	id, err := r.Submit(r.Context(), spec)
	if err != nil {
		r.Fatalf("submit: %v", err)
	}
	r.Cleanup(func() {
		if err := r.Cancel(context.WithoutCancel(r.Context()), id); err != nil {
			r.Errorf("clean up job %s: %v", id, err)
		}
	})
	return id
}

// job is what the back end says about the job with this comment; ok is false when
// it is unknown, and two of them fail the test.
func (r *run) job(comment string) (job scheduler.Job, ok bool) {
	r.Helper()
	jobs, err := r.Jobs(r.Context())
	if err != nil {
		r.Fatalf("jobs: %v", err)
	}
	for _, j := range jobs {
		if j.Comment != comment {
			continue
		}
		if ok {
			r.Fatalf("two jobs carry the comment %q: %s and %s", comment, job.ID, j.ID)
		}
		job, ok = j, true
	}
	return job, ok
}

// poll is how often a test asks: a state has no event to wait for.
const poll = 100 * time.Millisecond

// await asks until the job is as wanted.
func (r *run) await(comment, wanted string, is func(scheduler.Job) bool) scheduler.Job {
	r.Helper()
	var last scheduler.Job
	r.until(wanted, func() bool {
		job, ok := r.job(comment)
		last = job
		return ok && is(job)
	}, func() string { return string(last.State) + " " + last.Reason })
	return last
}

func (r *run) awaitEnd(comment string) scheduler.Job {
	r.Helper()
	return r.await(comment, "ended", func(j scheduler.Job) bool { return j.State.Ended() })
}

// awaitText waits until a file of the test holds text.
func (r *run) awaitText(name, text string) {
	r.Helper()
	r.until("the text "+text+" in "+name, func() bool { return strings.Contains(r.read(name), text) },
		func() string { return r.read(name) })
}

func (r *run) until(wanted string, is func() bool, now func() string) {
	r.Helper()
	for end := time.Now().Add(r.Patience); !is(); time.Sleep(poll) {
		if time.Now().After(end) {
			r.Fatalf("waited %s for: %s; it is: %.2000s", r.Patience, wanted, now())
		}
	}
}

// read gives what is in a file of the test; nothing if there is none yet.
func (r *run) read(name string) string {
	r.Helper()
	text, err := os.ReadFile(r.here(name))
	if err != nil && !os.IsNotExist(err) {
		r.Fatal(err)
	}
	return string(text)
}
