package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// application is what the event loop knows of one application.
type application struct {
	Application
	deployments map[string]*deployment // by name, of the current revision
	replicas    []*replica             // of all revisions, in order of creation
	removing    bool
	due         time.Time // when step has something to do
	shown       Set       // as last given to the listener
}

// deployment is one class and how its replicas fared.
type deployment struct {
	Deployment
	plan    Allocation
	target  int
	everRan bool
	tries   int       // replicas in a row that did not stay up
	nextTry time.Time // no new replica before
	failed  bool      // too many tries without ever running
	message string    // why the last replica ended
}

// step brings one application nearer to what it should be and works out when
// to look again. Every event about an application ends here.
func (m *Manager) step(a *application, now time.Time) {
	a.due = now.Add(time.Hour)
	for _, r := range slices.Clone(a.replicas) {
		m.check(r, now)
	}
	if !a.removing {
		for _, d := range a.deployments {
			m.fill(a, d, now)
		}
	}
	m.publish(a)
	if a.removing && len(a.replicas) == 0 {
		m.forget(a)
	}
}

// dueBy asks for another step of a at t.
func (a *application) dueBy(t time.Time) {
	if t.Before(a.due) {
		a.due = t
	}
}

// fill launches the replicas that a deployment lacks, and stops those it has
// too many of.
func (m *Manager) fill(a *application, d *deployment, now time.Time) {
	have := 0
	for _, r := range a.replicas {
		if r.dep == d && r.phase != stopping && !r.draining {
			have++
		}
	}
	if have >= d.target {
		return
	}
	if now.Before(d.nextTry) {
		a.dueBy(d.nextTry)
		return
	}
	for ; have < d.target; have++ {
		m.launch(a, d, now)
	}
}

// settle counts, once, how a replica ended and decides when the next of its
// deployment may start.
func (m *Manager) settle(r *replica, now time.Time) {
	if r.failure == "" || r.settled {
		return // it was asked to go
	}
	r.settled = true
	d := r.dep
	d.message = r.failure
	if !r.readyAt.IsZero() && now.Sub(r.readyAt) >= m.cfg.Times.Stable {
		d.tries = 0
	}
	d.tries++
	wait := min(m.cfg.Times.BackoffMin<<min(d.tries-1, 16), m.cfg.Times.BackoffMax)
	if r.refused || !d.everRan && d.tries >= maxTries(d.Deployment) {
		d.failed = true
		wait = m.cfg.Times.FailedRetry
	}
	d.nextTry = now.Add(jitter(wait))
}

// maxTries is after how many failures in a row a deployment that never ran
// counts as failed.
func maxTries(d Deployment) int {
	if v := d.Options.MaxConstructorRetryCount; v.State == manifest.Constant && v.Value > 0 {
		return v.Value
	}
	return 3
}

// forget ends the removal of an application: its jobs are gone.
func (m *Manager) forget(a *application) {
	if err := m.store.DeleteApplication(m.workCtx, a.ID); err != nil {
		m.log.Error("cannot forget a removed application; trying again", appField(a.ID), errField(err))
		a.dueBy(time.Now().Add(time.Second))
		return
	}
	m.logs.remove(a.ID)
	for name := range a.deployments {
		m.routes.Delete(routeKey(a.ID, name))
	}
	delete(m.apps, a.ID)
	m.listener.Removed(a.ID)
}

// order runs work beside the loop, at most one per replica at a time, and
// then steps the application again.
func (m *Manager) order(r *replica, work func(ctx context.Context) error, report func(error)) {
	r.inFlight = true
	var err error
	m.later(func(ctx context.Context) { err = work(ctx) }, func() {
		r.inFlight = false
		report(err)
		m.step(r.app, time.Now())
	})
}
