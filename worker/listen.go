package worker

import (
	"slices"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/worker/relay"
)

// Changed takes the replicas that can serve an application. It is part of
// jobs.Listener and must not block.
func (w *Worker) Changed(set jobs.Set) {
	a := w.heard(set.Application)
	if a == nil {
		return // it has gone
	}
	a.setEntry(set.Entry)
}

func (a *application) setEntry(entry []jobs.EntryReplica) {
	a.mu.Lock()
	a.entry, a.heard = entry, true
	a.relay.SetReplicas(relayReplicas(entry)) // under mu, so that sets stay in order
	if served(entry) {
		a.relay.SetUnhealthy(nil)
	}
	a.mu.Unlock()
	a.look()
	nudge(a.entryChanged)
}

func relayReplicas(entry []jobs.EntryReplica) []relay.Replica {
	replicas := make([]relay.Replica, len(entry))
	for i, e := range entry {
		replicas[i] = relay.Replica{Tag: e.Tag, MaxOngoing: e.MaxOngoing, Attach: e.Attach, Live: e.Live, Draining: e.Draining}
		if e.Link != nil {
			replicas[i].Link = e.Link
		}
	}
	return replicas
}

// Message takes a replica's message to the relay. It is part of jobs.Listener.
func (w *Worker) Message(id string, m *link.Message) {
	if a := w.heard(id); a != nil {
		a.relay.FromReplica(a.life, m)
	}
}

// Removed forgets an application whose last job has ended. It is part of
// jobs.Listener.
func (w *Worker) Removed(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.apps[id]; a != nil {
		delete(w.apps, id)
		w.order = slices.DeleteFunc(w.order, func(other string) bool { return other == id })
		a.bury()
		if w.group == nil {
			a.stop() // run would have
		}
	}
	close(w.removal)
	w.removal = make(chan struct{})
}

// heard returns the application that news are about: a tracked one, or the one
// that is being deployed at this moment.
func (w *Worker) heard(id string) *application {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.apps[id]; a != nil {
		return a
	}
	if w.next != nil && w.next.id == id {
		return w.next
	}
	return nil
}
