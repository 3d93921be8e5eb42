package jobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/apptainer"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Where an allocation's container sees what belongs to it.
const (
	insideAgent      = "/bioengine/bin/bioengine-agent"
	insideAllocation = "/bioengine/allocation"
	insideEndpoint   = "/bioengine/endpoint"
)

// launch starts one replica: row in the store, join token, job. A crash
// between any two lines leaves a row that recover can judge.
func (m *Manager) launch(a *application, d *deployment, now time.Time) {
	token, err := newToken()
	if err != nil {
		m.log.Error("cannot make a join token", appField(a.ID), errField(err))
		a.dueBy(now.Add(time.Second))
		return
	}
	m.nextTag++
	hash := sha256.Sum256([]byte(token))
	r := &replica{
		Allocation: store.Allocation{
			ID: uuid.NewString(), Application: a.ID, Deployment: d.Name, Replica: uuid.NewString(),
			Tag:      fmt.Sprintf("r%dx%d", m.store.Epoch(), m.nextTag),
			Revision: a.Revision, State: string(submitting), TokenHash: hash[:], Created: now,
		},
		app: a, dep: d, phase: submitting, steps: map[string]time.Duration{},
		job: scheduler.Job{State: scheduler.Pending},
	}
	r.enter("queue", now)
	if err := m.store.AddAllocation(m.workCtx, r.Allocation); err != nil {
		m.log.Error("cannot store an allocation; no job is submitted", appField(a.ID), errField(err))
		a.dueBy(now.Add(time.Second))
		return
	}
	a.replicas = append(a.replicas, r)
	m.byAlloc[r.ID] = r
	plan, home := d.plan, m.cfg.homeDir(a.ID)
	var job string
	m.order(r, func(ctx context.Context) (err error) {
		job, err = m.submit(ctx, r.Allocation, plan, home, token)
		return err
	}, func(err error) { m.onSubmitted(r, job, err) })
}

// submit prepares the allocation's directory and hands the job over. It runs
// beside the loop and touches nothing of it.
func (m *Manager) submit(ctx context.Context, al store.Allocation, plan Allocation, home, token string) (string, error) {
	if err := m.prepareDirs(al, home, token); err != nil {
		return "", &scheduler.Error{Kind: scheduler.Refused, Op: "prepare the job", Text: err.Error()}
	}
	image, err := apptainer.ParseImage(plan.Image)
	if err != nil {
		return "", &scheduler.Error{Kind: scheduler.Refused, Op: "prepare the job", Text: err.Error()}
	}
	spec := plan.Spec
	spec.Name = jobName(al, m.store.Instance())
	spec.Comment = jobComment(m.store.Instance(), al.ID)
	spec.WorkDir = home
	spec.Output = m.outputFile(al)
	if spec.Script, err = m.script(al, image, spec.GPUs > 0, home); err != nil {
		return "", &scheduler.Error{Kind: scheduler.Refused, Op: "write the job script", Text: err.Error()}
	}
	m.counters.Submissions.Add(1)
	return m.scheduler.Submit(ctx, spec)
}

func (m *Manager) outputFile(al store.Allocation) string {
	return filepath.Join(m.cfg.logDir(al.Application), al.Replica+".job")
}

func (m *Manager) prepareDirs(al store.Allocation, home, token string) error {
	dir := m.cfg.allocationDir(al.ID)
	for _, d := range []string{dir, home, m.cfg.logDir(al.Application)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	about, err := json.Marshal(map[string]string{"allocation": al.ID, "application": al.Application, "deployment": al.Deployment})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "allocation.json"), about, 0o600),
		os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
}

// script is the batch script of an allocation. A host image runs the agent
// as it is, with the real paths.
func (m *Manager) script(al store.Allocation, image apptainer.Image, gpus bool, home string) (string, error) {
	dir, endpoint := m.cfg.allocationDir(al.ID), m.cfg.endpointDir()
	if python, ok := image.HostPython(); ok {
		return apptainer.JobScript(apptainer.ScriptParams{
			Home:    home,
			Command: []string{m.cfg.Agent, "--allocation", dir, "--endpoint", endpoint, "--python", python},
		})
	}
	run := apptainer.Run{
		Apptainer: m.cfg.Apptainer, Image: image, GPUs: gpus, Pwd: home,
		Binds: []apptainer.Bind{
			{Source: m.cfg.Agent, Target: insideAgent, ReadOnly: true},
			{Source: endpoint, Target: insideEndpoint, ReadOnly: true},
			{Source: dir, Target: insideAllocation},
			{Source: home, Target: home},
		},
		Command: []string{insideAgent, "--allocation", insideAllocation, "--endpoint", insideEndpoint, "--python", m.cfg.Python},
	}
	return apptainer.JobScript(apptainer.ScriptParams{Home: home, Run: &run})
}

// onSubmitted takes the batch system's answer.
func (m *Manager) onSubmitted(r *replica, job string, err error) {
	now := time.Now()
	var refusal *scheduler.Error
	switch {
	case err == nil:
		m.bindJob(r, job)
		m.pollSoon(time.Second)
	case errors.As(err, &refusal) && refusal.Kind != scheduler.Unclear:
		m.log.Warn("a job was not accepted", appField(r.Application), zap.String("deployment", r.Deployment), errField(err))
		r.failure = err.Error()
		r.refused = refusal.Kind == scheduler.Refused
		m.end(r, r.failure, now)
	default:
		// A job may exist. The next polls look for its comment.
		m.log.Warn("the answer to a submission is unclear; looking for the job", appField(r.Application), errField(err))
		r.failure = ""
		r.lostAt = now
		m.pollSoon(time.Second)
	}
}

// bindJob notes the batch system's id of a replica's job.
func (m *Manager) bindJob(r *replica, job string) {
	r.Job = job
	next := r.phase
	if r.phase == submitting {
		next = submitted
	}
	if err := m.store.SetJob(m.workCtx, r.ID, job, string(next)); err != nil {
		// The row still says "submitting": a restarted controller finds the
		// job by its comment.
		m.log.Error("cannot store a job's id", appField(r.Application), zap.String("job", job), errField(err))
	}
	r.phase = next
	m.log.Info("job submitted", appField(r.Application), zap.String("deployment", r.Deployment), zap.String("job", job), zap.String("replica", r.Tag))
}

// newToken makes a join token or another secret: 32 random bytes.
func newToken() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

const commentPrefix = "bioengine-hpc instance="

// jobComment identifies a job as ours for good; ids are not enough, since a
// crashed slurmctld hands them out again.
func jobComment(instance, allocation string) string {
	return commentPrefix + instance + " allocation=" + allocation
}

// allocationOf reads a comment of this instance; "" for any other job.
func allocationOf(comment, instance string) string {
	rest, ok := strings.CutPrefix(comment, jobComment(instance, ""))
	if !ok {
		return ""
	}
	return rest
}

// jobName is what squeue shows: application, class, and the start of the
// instance's UUID.
func jobName(al store.Allocation, instance string) string {
	return fmt.Sprintf("bioengine-%s-%.40s-%.8s", al.Application, al.Deployment, instance)
}

func appField(id string) zap.Field { return zap.String("app", id) }
func errField(err error) zap.Field { return zap.Error(err) }
