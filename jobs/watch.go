package jobs

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// poll looks at all our jobs in one call.
func (m *Manager) poll() {
	m.polling = true
	m.counters.Polls.Add(1)
	var jobs []scheduler.Job
	var err error
	begun := time.Now()
	m.later(func(ctx context.Context) { jobs, err = m.scheduler.Jobs(ctx) }, func() {
		m.polling = false
		m.onPoll(jobs, err, begun)
		m.nextPoll = time.Now().Add(m.pollInterval())
	})
}

// pollInterval is short while something changes, and shorter for a moment
// when a job is about to end: its agent has left.
func (m *Manager) pollInterval() time.Duration {
	interval := m.cfg.Times.PollQuiet
	for _, r := range m.byAlloc {
		switch {
		case r.phase == stopping && r.conn == nil && r.joined && time.Since(r.lostAt) < leavingTime:
			return min(leavingPoll, m.cfg.Times.PollBusy)
		case !r.serving() || r.conn == nil:
			interval = m.cfg.Times.PollBusy
		}
	}
	return jitter(interval)
}

// A job whose agent has left is over within seconds.
const (
	leavingTime = 10 * time.Second
	leavingPoll = time.Second
)

// onPoll compares what the batch system says with what we know. begun is when
// the call started: a job submitted later need not be in the answer.
func (m *Manager) onPoll(jobs []scheduler.Job, err error, begun time.Time) {
	now := time.Now()
	if err != nil {
		if m.pollWorks {
			m.log.Warn("the batch system cannot be asked; replicas go on serving", errField(err))
		}
		m.pollWorks = false
		for _, r := range m.byAlloc {
			r.job.State = scheduler.Unknown
		}
		return
	}
	m.pollWorks = true
	seen := map[string]scheduler.Job{}
	for _, j := range jobs {
		id := allocationOf(j.Comment, m.store.Instance())
		if id == "" {
			continue
		}
		if m.byAlloc[id] == nil {
			m.cancelOrphan(j)
			continue
		}
		seen[id] = j
	}
	for id, r := range m.byAlloc {
		if j, ok := seen[id]; ok {
			m.onSeen(r, j, now)
		} else {
			m.onMissing(r, begun, now)
		}
	}
	for _, a := range m.apps {
		m.step(a, now)
	}
}

// cancelOrphan ends a job of ours that nothing here knows: its submission was
// answered after its allocation had been given up.
func (m *Manager) cancelOrphan(j scheduler.Job) {
	if j.State.Ended() || j.State == scheduler.Completing {
		return
	}
	m.log.Warn("cancelling a job that belongs to no allocation", zap.String("job", j.ID))
	m.later(func(ctx context.Context) {
		if err := m.scheduler.Cancel(ctx, j.ID); err != nil {
			m.log.Warn("cannot cancel it; the next poll tries again", zap.String("job", j.ID), errField(err))
		}
	}, func() {})
}

// onSeen takes the state of one job.
func (m *Manager) onSeen(r *replica, j scheduler.Job, now time.Time) {
	r.sighted, r.missed = true, 0
	if r.Job != j.ID && !r.inFlight {
		m.bindJob(r, j.ID) // the submission's answer was lost
	}
	if j.State == scheduler.Running && r.running.IsZero() {
		r.running = now
		if r.step == "queue" {
			r.enter("image", now)
		}
	}
	r.job = j
	if j.State.Ended() {
		m.end(r, endCause(r, j), now)
	}
}

// endCause says in one sentence how a job ended.
func endCause(r *replica, j scheduler.Job) string {
	text := fmt.Sprintf("job %s ended: %s", j.ID, j.State)
	if j.Reason != "" {
		text += ", " + j.Reason
	}
	if j.Node != "" {
		text += " on " + j.Node
	}
	switch {
	case j.Signal != 0:
		text += fmt.Sprintf(" (signal %d)", j.Signal)
	case j.ExitCode != 0:
		text += fmt.Sprintf(" (exit code %d)", j.ExitCode)
	}
	if j.State == scheduler.OutOfMemory {
		text += "; it needs more memory than it asked for: raise memory in ray_actor_options or in the slurm block"
	}
	return text
}

// onMissing handles a job that the batch system does not list.
func (m *Manager) onMissing(r *replica, begun, now time.Time) {
	if r.inFlight && r.phase == submitting {
		return // not submitted yet
	}
	r.missed++
	r.job.State = scheduler.Unknown
	switch {
	case r.conn != nil && r.phase != stopping:
		// Forgotten by Slurm but alive: it goes on serving (design 6).
	case r.Job == "" && now.Sub(r.unansweredSince(m.startedAt)) < m.cfg.Times.SubmitGrace:
		m.pollSoon(time.Second)
	case r.missed >= 2 && begun.After(r.Created):
		cause := "forgotten by the batch system"
		if r.Job == "" {
			cause = "the submission was lost"
		}
		m.end(r, cause, now)
	default:
		m.pollSoon(time.Second)
	}
}

// unansweredSince is when a submission could last have been under way: this
// controller's start for rows of an earlier one, whose sbatch may outlive it.
func (r *replica) unansweredSince(started time.Time) time.Time {
	if r.lostAt.After(started) {
		return r.lostAt
	}
	return started
}

// check looks at one replica's deadlines.
func (m *Manager) check(r *replica, now time.Time) {
	switch {
	case r.phase == stopping:
		m.pushOut(r, now)
	case r.conn == nil && r.joined && r.Job != "":
		m.checkLost(r, now)
	case !r.joined && r.job.State == scheduler.Running && !r.running.IsZero():
		limit := r.running.Add(m.cfg.Times.JoinLimit)
		if now.Before(limit) {
			r.app.dueBy(limit)
			return
		}
		m.fail(r, fmt.Sprintf("job %s runs on %s, but its agent did not join within %s", r.Job, r.job.Node, m.cfg.Times.JoinLimit), now)
	}
}

// checkLost gives a replica up whose link is down for too long while the
// batch system says that its job runs. Suspended jobs and those whose state
// cannot be learnt are left alone.
func (m *Manager) checkLost(r *replica, now time.Time) {
	limit := r.lostAt.Add(m.cfg.Times.LostGrace)
	if now.Before(limit) {
		r.app.dueBy(limit)
		return
	}
	if r.job.State == scheduler.Running && r.sighted {
		m.fail(r, fmt.Sprintf("the link to job %s on %s was down for %s", r.Job, r.job.Node, now.Sub(r.lostAt).Round(time.Second)), now)
		return
	}
	r.app.dueBy(now.Add(m.cfg.Times.PollBusy))
}
