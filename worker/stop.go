package worker

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// stopApplication starts the end of an application and returns (contract 1.6):
// the service goes at once, running calls may finish, then the jobs end.
func (w *Worker) stopApplication(ctx context.Context, r *hypha.Request) (any, error) {
	id, ok := r.Args["application_id"].(string)
	if !ok {
		return nil, typeError("application_id must be a string, but got %s.", pythonType(r.Args["application_id"]))
	}
	who, err := w.admit(r, fmt.Sprintf("undeploying the application '%.100s'", id))
	if err != nil {
		return nil, err
	}
	a := w.find(id)
	if a == nil {
		return nil, runtimeError("Application '%.100s' is not currently deployed. Applications started outside of BioEngine cannot be stopped using this method.", id)
	}
	if err := a.remove(ctx); err != nil && !errors.Is(err, jobs.ErrUnknown) { // unknown: it went this moment
		return nil, runtimeError("Application '%s' could not be stopped: %s", id, err)
	}
	w.log.Info("application is being stopped", zap.String("app", id), zap.String("user", who.name()))
	return nil, nil
}

// remove starts the removal. An update that comes after it is refused by the
// replicas' manager, one that came before is removed with the rest.
func (a *application) remove(ctx context.Context) error {
	a.storing.Lock()
	defer a.storing.Unlock()
	if err := a.worker.replicas.Remove(ctx, a.id); err != nil {
		return err
	}
	a.mu.Lock()
	a.deleting = true
	a.mu.Unlock()
	a.look()
	return nil
}
