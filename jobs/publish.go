package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// publish gives the listener the application's set of entry replicas when it
// changed, and the handle routers theirs.
func (m *Manager) publish(a *application) {
	set := Set{Application: a.ID, Revision: a.Revision}
	targets := map[string][]target{}
	for _, r := range a.replicas {
		if r.ready == nil || (r.phase == stopping && r.failure != "") {
			continue
		}
		member := EntryReplica{
			Tag: r.Tag, MaxOngoing: maxOngoing(r.dep.Deployment), Attach: r.attach, Live: r.live,
			Draining: r.draining || r.phase == stopping, Ready: *r.ready,
		}
		if r.conn != nil {
			member.Link = r.conn
		}
		if r.dep.Name == a.Deployments[0].Name {
			set.Entry = append(set.Entry, member)
		}
		if r.conn != nil && !member.Draining {
			targets[r.Deployment] = append(targets[r.Deployment], target{tag: r.Tag, conn: r.conn, max: member.MaxOngoing})
		}
	}
	for name := range a.deployments {
		m.router(a.ID, name).set(targets[name])
	}
	if !sameSet(set, a.shown) {
		a.shown = set
		m.listener.Changed(set)
	}
}

func sameSet(a, b Set) bool {
	return a.Revision == b.Revision && slices.EqualFunc(a.Entry, b.Entry, func(x, y EntryReplica) bool {
		return x.Tag == y.Tag && x.Attach == y.Attach && x.Draining == y.Draining && x.MaxOngoing == y.MaxOngoing && (x.Link == nil) == (y.Link == nil)
	})
}

// Status returns one application as it is now.
func (m *Manager) Status(ctx context.Context, id string) (Status, error) {
	var s Status
	found := false
	err := m.do(ctx, func() {
		if a := m.apps[id]; a != nil {
			s, found = a.status(), true
		}
	})
	if err == nil && !found {
		err = ErrUnknown
	}
	return s, err
}

func (a *application) status() Status {
	s := Status{ID: a.ID, Revision: a.Revision, Deleting: a.removing}
	for _, d := range a.Deployments {
		s.Deployments = append(s.Deployments, a.deploymentStatus(a.deployments[d.Name]))
	}
	return s
}

func (a *application) deploymentStatus(d *deployment) DeploymentStatus {
	s := DeploymentStatus{
		Name: d.Name, ReplicaStates: map[string]int{}, EverRan: d.everRan, Target: d.target,
		CPUs: float64(d.plan.Spec.CPUs), GPUs: float64(d.plan.Spec.GPUs), MemoryBytes: float64(d.plan.Spec.MemoryMiB) * (1 << 20),
	}
	var messages []string
	healthy := 0
	for _, r := range a.replicas {
		if r.Deployment != d.Name {
			continue
		}
		state := r.state()
		s.ReplicaStates[state]++
		s.Replicas = append(s.Replicas, r.status(state))
		if state == "RUNNING" && r.unwell == "" && r.dep == d {
			healthy++
		}
		if text := r.message(); text != "" && text != d.message && r.dep == d && r.worthSaying(state) {
			messages = append(messages, text)
		}
	}
	if text := d.explain(); text != "" {
		messages = append(messages, text)
	}
	s.Message = strings.Join(messages, "\n")
	s.Status = d.word(healthy)
	if s.Status == "HEALTHY" {
		s.Message = ""
	}
	return s
}

// worthSaying leaves out what takes no time: waiting is explained after 30 s
// (contract 5.2), everything else at once.
func (r *replica) worthSaying(state string) bool {
	return r.unwell != "" || r.failure != "" || state == "PENDING_ALLOCATION" || state == "RECOVERING" || time.Since(r.stepAt) > 30*time.Second
}

// word is the deployment's status in the contract's vocabulary.
func (d *deployment) word(healthy int) string {
	switch {
	case healthy >= d.target:
		return "HEALTHY"
	case d.failed:
		return "DEPLOY_FAILED"
	case d.everRan:
		return "UNHEALTHY"
	}
	return "UPDATING"
}

// explain says why the last replica ended, in the contract's words (5.2) while
// none has ever run.
func (d *deployment) explain() string {
	switch {
	case d.message == "" || d.everRan:
		return d.message
	case d.failed:
		return fmt.Sprintf("The deployment failed to start %d times in a row. Error:\n%s", d.tries, d.message)
	}
	return fmt.Sprintf("A replica failed to start with exception. Retrying %d more time(s). Error:\n%s", max(0, maxTries(d.Deployment)-d.tries), d.message)
}

func (r *replica) status(state string) ReplicaStatus {
	s := ReplicaStatus{
		ID: r.Replica, Tag: r.Tag, JobID: r.Job, State: state, Node: r.job.Node,
		Message: r.message(), Created: r.Created, Steps: maps.Clone(r.steps),
	}
	if r.job.State == scheduler.Unknown && s.Message == "" {
		s.Message = "the batch system cannot be asked about job " + r.Job
	}
	return s
}
