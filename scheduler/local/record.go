package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

const idPrefix = "local-"

// record is one job's folder: job.json (the fields here), script, supervise, and
// what the supervisor writes.
type record struct {
	id     string
	number int
	dir    string

	Name      string    `json:"name"`
	Comment   string    `json:"comment"`
	Node      string    `json:"node"`
	Boot      string    `json:"boot"`
	GPUs      []int     `json:"gpus,omitempty"`
	Submitted time.Time `json:"submitted"`
}

func (r record) file(name string) string { return filepath.Join(r.dir, name) }

// newRecord writes the folder of a new job. The caller holds mu.
func (l *Local) newRecord(spec scheduler.Spec, gpus []int) (record, error) {
	numbers, err := l.numbers()
	if err != nil {
		return record{}, err
	}
	node, err := os.Hostname()
	if err != nil {
		return record{}, err
	}
	r := record{number: 1, Name: spec.Name, Comment: spec.Comment, Node: node, Boot: l.boot, GPUs: gpus, Submitted: time.Now()}
	if len(numbers) > 0 {
		r.number = numbers[len(numbers)-1] + 1
	}
	r.locate(l.config.Dir)
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return record{}, err
	}
	err = errors.Join(
		os.WriteFile(r.file("script"), []byte(spec.Script), 0o600),
		os.WriteFile(r.file("supervise"), supervisor, 0o600),
		r.writeDescription())
	if err != nil {
		return record{}, errors.Join(err, os.RemoveAll(r.dir))
	}
	return r, nil
}

func (r *record) locate(dir string) {
	r.id = idPrefix + strconv.Itoa(r.number)
	r.dir = filepath.Join(dir, r.id)
}

// writeDescription makes job.json appear whole or not at all.
func (r record) writeDescription() error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.file("job.tmp"), text, 0o600); err != nil {
		return err
	}
	return os.Rename(r.file("job.tmp"), r.file("job.json"))
}

// numbers lists the numbers of all folders, in rising order.
func (l *Local) numbers() ([]int, error) {
	entries, err := os.ReadDir(l.config.Dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), idPrefix)); err == nil && e.Name() == idPrefix+strconv.Itoa(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// records reads all jobs, the oldest first. A folder without a readable
// description was never a job: its submission failed half-way.
func (l *Local) records() ([]record, error) {
	numbers, err := l.numbers()
	if err != nil {
		return nil, err
	}
	records := make([]record, 0, len(numbers))
	for _, n := range numbers {
		if r, ok := l.read(n); ok {
			records = append(records, r)
		}
	}
	return records, nil
}

func (l *Local) read(number int) (record, bool) {
	r := record{number: number}
	r.locate(l.config.Dir)
	text, err := os.ReadFile(r.file("job.json"))
	return r, err == nil && json.Unmarshal(text, &r) == nil
}

// find reads one job; ok is false for an id that nobody knows.
func (l *Local) find(id string) (record, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(id, idPrefix))
	if err != nil || id != idPrefix+strconv.Itoa(n) {
		return record{}, false
	}
	return l.read(n)
}

// processes reads who supervises and who runs the job; zero values when it has
// not started or was started before the machine's last start.
func (r record) processes(boot string) (supervisor, batch process) {
	text, err := os.ReadFile(r.file("run"))
	if err != nil || r.Boot != boot {
		return
	}
	if _, err := fmt.Sscan(string(text), &supervisor.pid, &supervisor.start, &batch.pid, &batch.start); err != nil {
		return process{}, process{}
	}
	return supervisor, batch
}

func (r record) supervisor(boot string) process { s, _ := r.processes(boot); return s }
func (r record) batch(boot string) process      { _, b := r.processes(boot); return b }

// mark says whether the supervisor left a file of this name, and when.
func (r record) mark(name string) (when time.Time, there bool) {
	info, err := os.Stat(r.file(name))
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

// job tells the record's story as of now.
func (r record) job(boot string) scheduler.Job {
	job := scheduler.Job{ID: r.id, Name: r.Name, Comment: r.Comment, Node: r.Node, Submitted: r.Submitted}
	job.Started, _ = r.mark("run")
	// Alive is asked first: a supervisor that ends in between has left its file.
	supervisor, batch := r.processes(boot)
	alive := supervisor.alive() || batch.alive()
	if text, err := os.ReadFile(r.file("exit")); err == nil {
		r.finished(&job, strings.TrimSpace(string(text)))
	} else if alive {
		r.unfinished(&job)
	} else {
		r.lost(&job, boot)
	}
	job.RawState = string(job.State)
	return job
}

func (r record) unfinished(job *scheduler.Job) {
	_, cancelled := r.mark("cancelled")
	_, late := r.mark("timeout")
	job.State = scheduler.Running
	if cancelled || late {
		job.State = scheduler.Completing
	}
}

// finished reads the shell's exit status, which tells a death by signal n as
// 128+n; a script that really exits with such a number is told the same way.
func (r record) finished(job *scheduler.Job, status string) {
	job.Ended, _ = r.mark("exit")
	code, err := strconv.Atoi(status)
	if job.ExitCode = code; err != nil {
		job.ExitCode = 1
	}
	if code > 128 && code <= 128+64 {
		job.ExitCode, job.Signal = 0, code-128
	}
	_, cancelled := r.mark("cancelled")
	_, late := r.mark("timeout")
	switch {
	case cancelled:
		job.State = scheduler.Cancelled
	case late:
		job.State, job.Reason = scheduler.Timeout, "TimeLimit"
	case job.Signal != 0:
		job.State, job.Reason = scheduler.Failed, fmt.Sprintf("RaisedSignal:%d", job.Signal)
	case job.ExitCode != 0:
		job.State, job.Reason = scheduler.Failed, "NonZeroExitCode"
	default:
		job.State = scheduler.Completed
	}
}

// lost tells a job that has no process and left no exit status. It ended when that
// was noticed, which a mark remembers.
func (r record) lost(job *scheduler.Job, boot string) {
	if job.Started.IsZero() && r.Boot == boot && time.Since(r.Submitted) < 10*time.Second {
		job.State = scheduler.Pending
		return
	}
	noticed, there := r.mark("lost")
	if !there {
		noticed = time.Now()
		_ = os.WriteFile(r.file("lost"), nil, 0o600) // noticed again next time
	}
	job.Ended = noticed
	switch {
	case r.Boot != boot:
		job.State, job.Reason = scheduler.NodeFail, "the machine was restarted"
	case job.Started.IsZero():
		job.State, job.Reason = scheduler.BootFail, "it was never started"
	default:
		job.State, job.Reason = scheduler.Failed, "its supervisor was killed; the exit status is not known"
	}
}
