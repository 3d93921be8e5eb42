package jobs

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// recover makes the replicas of an earlier controller ours again. Nothing is
// decided here: rows are taken as they are, and the first polls and the
// agents' redials say what became of them.
func (m *Manager) recover(ctx context.Context) error {
	rows, err := m.store.Applications(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		app, err := decode(row)
		if err != nil {
			return err
		}
		plan, err := MakePlan(app, m.cfg.Site)
		if err != nil {
			// The site's rules have changed. What runs goes on; a lost replica
			// is not replaced under rules that forbid it.
			m.log.Warn("a stored application does not fit the site's rules any more", appField(app.ID), errField(err))
		}
		a := newApplication(app, plan)
		a.removing = row.Removing
		m.apps[app.ID] = a
	}
	allocations, err := m.store.Allocations(ctx, "")
	if err != nil {
		return err
	}
	for _, al := range allocations {
		if al.Ended.IsZero() {
			m.adopt(al)
		}
	}
	return nil
}

// adopt makes one allocation of an earlier controller a replica again.
func (m *Manager) adopt(al store.Allocation) {
	a := m.apps[al.Application]
	if a == nil {
		return // its application is gone; its job is cancelled as an orphan
	}
	now := time.Now()
	r := &replica{
		Allocation: al, app: a, phase: phase(al.State), steps: map[string]time.Duration{},
		job: scheduler.Job{State: scheduler.Unknown}, joined: len(al.KeyHash) > 0, lostAt: now,
	}
	r.dep = a.deployments[al.Deployment]
	if r.dep == nil || al.Revision != a.Revision {
		r.dep = &deployment{Deployment: Deployment{Name: al.Deployment, Class: al.Deployment}}
	}
	if len(al.Ready) > 0 {
		var ready link.Ready
		if err := json.Unmarshal(al.Ready, &ready); err != nil {
			m.log.Error("cannot read what a replica offered", appField(al.Application), zap.String("replica", al.Tag), errField(err))
		} else {
			r.ready, r.readyAt = &ready, al.Created
			r.dep.everRan = true
		}
	}
	if r.phase == stopping {
		r.failure, r.settled = al.Cause, true
	} else if al.Revision != a.Revision || a.removing {
		// The crash came between storing an update and stopping what ran before.
		r.phase = stopping
	}
	if r.phase == stopping {
		r.cancelAt = now.Add(grace(r.dep.Deployment) + m.cfg.Times.CancelAfter)
	}
	a.replicas = append(a.replicas, r)
	m.byAlloc[al.ID] = r
}

// Applications returns everything that is stored, secrets included, oldest
// first.
func (m *Manager) Applications(ctx context.Context) ([]Application, error) {
	rows, err := m.store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	apps := make([]Application, len(rows))
	for i, row := range rows {
		if apps[i], err = decode(row); err != nil {
			return nil, err
		}
	}
	return apps, nil
}
