package worker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// healthPeriod is how often we ask for the state of an application that no
// replica serves. It is not asked for while one does.
const healthPeriod = time.Second

// watchHealth tells the relay while callers would wait in vain, so that they
// get an answer at once (contract 4), until ctx ends.
func (a *application) watchHealth(ctx context.Context) {
	for {
		var again <-chan time.Time
		if a.unserved() {
			a.assess(ctx)
			again = time.After(healthPeriod)
		}
		select {
		case <-a.entryChanged:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// unserved says that no replica takes new calls, nor will when its link is
// back.
func (a *application) unserved() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard && !served(a.entry)
}

func served(entry []jobs.EntryReplica) bool {
	return slices.ContainsFunc(entry, func(e jobs.EntryReplica) bool { return !e.Draining })
}

// assess lets callers of an unserved application wait, or tells them why not.
func (a *application) assess(ctx context.Context) {
	status, err := a.worker.replicas.Status(ctx, a.id)
	if err != nil {
		return // it is gone, or we are about to end
	}
	v := a.view()
	v.jobs, v.known, v.Deleting = status, true, v.Deleting || status.Deleting
	reason := v.hopeless()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !served(a.entry) { // else a replica became ready meanwhile
		a.relay.SetUnhealthy(reason)
	}
}

// hopeless is what callers of an unserved application are told instead of
// waiting for a replica, nil when one can be expected soon. It is one line, as
// clients read the class from the last, so traceback and hints stay out of it.
func (v view) hopeless() error {
	switch word, message := v.judge(); word {
	case "DELETING":
		return runtimeError("%s", message)
	case "UNHEALTHY", "DEPLOY_FAILED":
		what, _, _ := strings.Cut(message, "\n")
		return runtimeError("Application '%s' is %s: %s get_application_status says why.", v.id, word, what)
	}
	return nil
}
