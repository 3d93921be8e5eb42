// Package local owns the back end that runs jobs as processes on this machine:
// no queue, no container, no cluster. It is for trying an application out and for
// demonstrations, and says so: its jobs are called local-1, local-2, … and its only
// partition is called local. Its main type is Local; the command wires it.
//
// As with Slurm, a job does not depend on the process that submitted it. Each job
// runs in a session of its own under a small supervisor (supervise.sh), and
// everything known about it lies in a record, a folder of files, so that a
// restarted controller finds its jobs again. A process that leaves its session
// (setsid) is no longer seen.
package local

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

//go:embed supervise.sh
var supervisor []byte

// Partition is the name of the back end's only partition.
const Partition = "local"

// Config says where the records lie and what may be given away.
type Config struct {
	// Dir holds the records; it is made if missing. One Local per folder.
	Dir string
	// GPUs is how many GPUs jobs may use; their numbers, from 0, are handed out in
	// CUDA_VISIBLE_DEVICES, each to one job at a time. 0: requests for GPUs are
	// refused.
	GPUs int
	// Keep is how long an ended job is remembered; 0: ten minutes.
	Keep time.Duration
	// Path is the PATH of the jobs; empty: the usual system folders.
	Path string
}

// Local runs jobs on this machine. All jobs start at once. What a job asks for is
// compared with the machine but not enforced; account, QoS, constraint,
// reservation, exclusive, nice and further options mean nothing here.
type Local struct {
	config  Config
	machine scheduler.Partition
	boot    string

	mu sync.Mutex // one submission at a time: it gives out ids and GPUs
}

var (
	_ scheduler.Scheduler = (*Local)(nil)
	_ scheduler.Inspector = (*Local)(nil)
)

// New opens or makes the folder of records.
func New(config Config) (*Local, error) {
	if !filepath.IsAbs(config.Dir) {
		return nil, fmt.Errorf("local scheduler: the folder %q is not absolute", config.Dir)
	}
	if config.Keep == 0 {
		config.Keep = 10 * time.Minute
	}
	if config.Path == "" {
		config.Path = "/usr/local/bin:/usr/bin:/bin"
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("local scheduler: %w", err)
	}
	if _, err := exec.LookPath("setsid"); err != nil {
		return nil, fmt.Errorf("local scheduler: the program setsid (package util-linux) is needed: %w", err)
	}
	machine, boot, err := thisMachine(config.GPUs)
	if err != nil {
		return nil, fmt.Errorf("local scheduler: %w", err)
	}
	return &Local{config: config, machine: machine, boot: boot}, nil
}

// Submit starts the job before it returns.
func (l *Local) Submit(ctx context.Context, spec scheduler.Spec) (string, error) {
	if err := l.check(spec); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fail := func(kind scheduler.Kind, err error) error {
		return &scheduler.Error{Kind: kind, Op: "submit job " + spec.Name, Err: err}
	}
	gpus, err := l.freeGPUs(spec.GPUs)
	if err != nil {
		return "", fail(scheduler.Refused, err)
	}
	r, err := l.newRecord(spec, gpus)
	if err != nil {
		return "", fail(scheduler.Unreachable, err)
	}
	if err := l.launch(ctx, r, spec); err != nil {
		if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return "", fail(scheduler.Unclear, err)
		}
		return "", fail(scheduler.Unreachable, errors.Join(err, os.RemoveAll(r.dir)))
	}
	return r.id, nil
}

// launch starts the supervisor, detached from this process, and waits for its word
// that the job runs.
func (l *Local) launch(ctx context.Context, r record, spec scheduler.Spec) error {
	said, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	defer say.Close()
	// The shell in between ends at once, so that the supervisor is nobody's child
	// here and no zombie of it can stay.
	cmd := exec.CommandContext(ctx, "/bin/bash", "-c", `/bin/bash "$@" &`, "launch", r.file("supervise"),
		r.dir, spec.WorkDir, spec.Output, seconds(spec.TimeLimit-spec.WarnBefore), seconds(spec.TimeLimit))
	cmd.Dir = "/"
	cmd.Env = l.environment(r)
	cmd.ExtraFiles = []*os.File{say}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	say.Close()
	if err := said.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Now()) })()
	word := make([]byte, 2)
	if n, err := said.Read(word); n == 0 {
		return fmt.Errorf("the supervisor did not start the job: %w", err)
	}
	return nil
}

// environment is all that a job inherits.
func (l *Local) environment(r record) []string {
	env := []string{"PATH=" + l.config.Path}
	if len(r.GPUs) > 0 {
		env = append(env, "CUDA_VISIBLE_DEVICES="+commaList(r.GPUs))
	}
	return env
}

// seconds prints d for the supervisor; nothing and less is "never".
func seconds(d time.Duration) string {
	return fmt.Sprintf("%g", max(0, d.Seconds()))
}

// Jobs reads the records, and forgets those that ended long ago.
func (l *Local) Jobs(ctx context.Context) ([]scheduler.Job, error) {
	records, err := l.records()
	if err != nil {
		return nil, &scheduler.Error{Kind: scheduler.Unreachable, Op: "list jobs", Err: err}
	}
	jobs := make([]scheduler.Job, 0, len(records))
	for i, r := range records {
		if err := ctx.Err(); err != nil {
			return nil, &scheduler.Error{Kind: scheduler.Unreachable, Op: "list jobs", Err: err}
		}
		job := r.job(l.boot)
		newest := i == len(records)-1 // kept for ever, so that no id is given out twice
		if job.State.Ended() && !newest && time.Since(job.Ended) > l.config.Keep {
			_ = os.RemoveAll(r.dir) // tried again at the next call
			continue
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// Terminate sends SIGTERM to the batch process.
func (l *Local) Terminate(_ context.Context, id string) error {
	r, ok := l.find(id)
	if !ok {
		return nil
	}
	return ordered("terminate job "+id, r.batch(l.boot).signal(syscall.SIGTERM))
}

// Cancel tells the supervisor, which ends all processes of the job. If somebody
// has killed the supervisor, the job's process group is killed at once.
func (l *Local) Cancel(_ context.Context, id string) error {
	r, ok := l.find(id)
	if !ok {
		return nil
	}
	err := r.supervisor(l.boot).signal(syscall.SIGTERM)
	if batch := r.batch(l.boot); errors.Is(err, os.ErrProcessDone) && batch.alive() {
		err = syscall.Kill(-batch.pid, syscall.SIGKILL)
	}
	return ordered("cancel job "+id, err)
}

// ordered turns the outcome of a signal into that of an order: a process that is
// gone already is no error.
func ordered(op string, err error) error {
	if err == nil || errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return &scheduler.Error{Kind: scheduler.Unreachable, Op: op, Err: err}
}
