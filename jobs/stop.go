package jobs

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// keptReplicas is how many dead replicas of a deployment keep their logs.
const keptReplicas = 20

// fail stops a replica that cannot go on; it counts against its deployment.
func (m *Manager) fail(r *replica, why string, now time.Time) {
	if r.phase == stopping || r.phase == ended {
		return
	}
	m.log.Warn("replica failed", appField(r.Application), zap.String("replica", r.Tag), zap.String("job", r.Job), zap.String("why", why))
	r.failure = why
	m.settle(r, now)
	m.stop(r, now)
}

// stop begins a replica's end: drain over the link, then the batch system
// (design 3, "Stopping"). It only returns to life by being replaced.
func (m *Manager) stop(r *replica, now time.Time) {
	if r.phase == stopping || r.phase == ended {
		return
	}
	wasSubmitting := r.phase == submitting
	r.phase = stopping
	if err := m.store.SetState(m.workCtx, r.ID, string(stopping), r.failure); err != nil {
		m.log.Error("cannot store that a replica is stopping", appField(r.Application), errField(err))
	}
	grace := grace(r.dep.Deployment)
	r.cancelAt = now.Add(grace + m.cfg.Times.CancelAfter)
	switch {
	case wasSubmitting && r.inFlight:
		// onSubmitted finds the phase changed; pushOut cancels then.
		r.cancelAt = now
	case r.conn != nil && r.ready != nil && r.failure == "":
		m.tell(r, link.Control{Type: link.ControlDrain, Replica: r.Tag, Timeout: grace.Seconds()})
	case r.conn != nil:
		m.tell(r, link.Control{Type: link.ControlStop})
	case r.job.State.Active() && r.joined:
		m.order(r, func(ctx context.Context) error { return m.scheduler.Terminate(ctx, r.Job) }, m.logRefusal(r, "terminate"))
	default:
		r.cancelAt = now // it waits in the queue or never joined: nothing to save
	}
	m.pollSoon(time.Second)
	r.app.dueBy(now)
}

// tell sends a control message beside the loop: a slow link must not hold it.
func (m *Manager) tell(r *replica, c link.Control) {
	conn := r.conn
	m.later(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := conn.Control(ctx, c); err != nil {
			m.log.Debug("a control message was not delivered", appField(r.Application), zap.String("type", c.Type), errField(err))
		}
	}, func() {})
}

// pushOut cancels a stopping replica's job once its time is over, and again
// every so often until it is gone.
func (m *Manager) pushOut(r *replica, now time.Time) {
	if now.Before(r.cancelAt) {
		r.app.dueBy(r.cancelAt)
		return
	}
	if r.inFlight || r.Job == "" {
		return // the submission's answer, or a poll, comes first
	}
	r.cancelAt = now.Add(30 * time.Second)
	r.app.dueBy(r.cancelAt)
	m.order(r, func(ctx context.Context) error { return m.scheduler.Cancel(ctx, r.Job) }, m.logRefusal(r, "cancel"))
	m.pollSoon(time.Second)
}

func (m *Manager) logRefusal(r *replica, what string) func(error) {
	return func(err error) {
		if err != nil {
			m.log.Warn("cannot "+what+" a job; trying again later", appField(r.Application), zap.String("job", r.Job), errField(err))
		}
	}
}

// end buries a replica: its job is over, or nobody knows of it any more.
func (m *Manager) end(r *replica, cause string, now time.Time) {
	if r.phase == ended {
		return
	}
	if r.phase != stopping && r.failure == "" && !(r.draining && r.job.State == scheduler.Completed) {
		r.failure = cause
	}
	r.phase = ended
	if r.conn != nil {
		m.hangUp(r.conn, "the job has ended")
		r.conn = nil
	}
	if err := m.store.EndAllocation(m.workCtx, r.ID, string(ended), joinNonEmpty("; ", cause, r.failure), now); err != nil {
		m.log.Error("cannot store the end of a replica", appField(r.Application), errField(err))
	}
	if err := os.RemoveAll(m.cfg.allocationDir(r.ID)); err != nil {
		m.log.Warn("cannot remove the directory of an ended allocation", appField(r.Application), errField(err))
	}
	delete(m.byAlloc, r.ID)
	for i, other := range r.app.replicas {
		if other == r {
			r.app.replicas = append(r.app.replicas[:i:i], r.app.replicas[i+1:]...)
			break
		}
	}
	m.settle(r, now)
	m.logs.closeReplica(r.Application, r.Replica)
	m.prune(r)
	m.log.Info("replica ended", appField(r.Application), zap.String("replica", r.Tag), zap.String("job", r.Job), zap.String("cause", cause))
	r.app.dueBy(now)
}

// prune forgets the oldest dead replicas of a deployment with their logs.
func (m *Manager) prune(r *replica) {
	old, err := m.store.PruneEnded(m.workCtx, r.Application, r.Deployment, keptReplicas)
	if err != nil {
		m.log.Warn("cannot prune ended replicas", appField(r.Application), errField(err))
		return
	}
	for _, id := range old {
		m.logs.removeReplica(r.Application, id)
	}
}
