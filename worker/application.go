package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/worker/relay"
)

// application is one tracked application. Its goroutine (run) keeps its Hypha
// connection and its service; everything else only changes its fields and
// wakes it.
type application struct {
	id     string
	client string // its Hypha client id
	worker *Worker
	log    *zap.Logger
	relay  *relay.Relay
	uplink *uplink

	wake         chan struct{}   // holds one token when run should look again
	entryChanged chan struct{}   // holds one token when watchHealth should
	gone         context.Context // ends when the last job has
	bury         context.CancelFunc
	life         context.Context // ends when run has
	stop         context.CancelFunc

	// storing orders what reaches the store: an update, and what a replica
	// offered under the record before it. It is taken before mu.
	storing sync.Mutex

	mu sync.Mutex // guards the following fields
	state
	entry     []jobs.EntryReplica // as last published by jobs
	heard     bool                // entry is known; false until jobs has looked after a restart
	deleting  bool
	recovered bool
	service   string // full id while registered, else ""
	connected bool   // the Hypha connection is up and the service on it
	problem   string // why it is not, for the status
}

// state is what an update replaces as a whole.
type state struct {
	record   record
	settings settings
	env      map[string]map[string]any // by class, as the status shows it
}

func (w *Worker) newApplication(id string, s state) (*application, error) {
	a := &application{
		id: id, client: clientID(w.cfg.Hypha.ClientID, id), worker: w,
		log: w.log.With(zap.String("app", id)), uplink: &uplink{},
		wake: make(chan struct{}, 1), entryChanged: make(chan struct{}, 1), state: s,
	}
	a.gone, a.bury = context.WithCancel(context.Background())
	a.life, a.stop = context.WithCancel(context.Background())
	r, err := relay.New(relay.Config{
		App: id, Client: s.record.Workspace + "/" + a.client, MaxOngoing: s.settings.maxOngoing,
		Policy: (*guard)(a), Members: ownMembers, Log: w.log,
	})
	if err != nil {
		return nil, err
	}
	a.relay = r
	return a, nil
}

// recovered makes an application of what an earlier controller stored.
func (w *Worker) recovered(app jobs.Application) (*application, error) {
	s := state{env: shownEnv(app.Deployments)}
	if err := json.Unmarshal(app.Record, &s.record); err != nil {
		return nil, fmt.Errorf("read its record: %w", err)
	}
	var err error
	if s.settings, err = s.record.Settings.restore(app.Secrets); err != nil {
		return nil, err
	}
	a, err := w.newApplication(app.ID, s)
	if err != nil {
		return nil, err
	}
	a.recovered, a.deleting = true, app.Removing
	return a, nil
}

// shownEnv is the complete environment of each class as a client may see it.
func shownEnv(deployments []jobs.Deployment) map[string]map[string]any {
	shown := make(map[string]map[string]any, len(deployments))
	for _, d := range deployments {
		shown[d.Class] = masked(d.Env, d.Secrets)
	}
	return shown
}

// current is a copy of what an update replaces. Its maps are never changed.
func (a *application) current() state {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// look asks the goroutine to look at the fields again.
func (a *application) look() { nudge(a.wake) }

// nudge leaves a token for the one goroutine that takes them.
func nudge(tokens chan<- struct{}) {
	select {
	case tokens <- struct{}{}:
	default: // one is there
	}
}

// update deploys a new state in place of the current one. Should the store
// refuse it, nothing has changed.
func (a *application) update(ctx context.Context, app jobs.Application, s state) error {
	a.storing.Lock()
	defer a.storing.Unlock()
	if err := a.worker.replicas.Deploy(ctx, app); err != nil {
		return err
	}
	a.mu.Lock()
	a.state = s
	a.mu.Unlock()
	a.relay.SetMaxOngoing(s.settings.maxOngoing)
	a.look()
	return nil
}

// keep stores what a ready replica said of itself, for the next controller.
func (a *application) keep(ctx context.Context, o *offer) error {
	a.storing.Lock()
	defer a.storing.Unlock()
	a.mu.Lock()
	r := a.record
	a.mu.Unlock()
	r.Published = o
	data, err := r.marshal()
	if err != nil {
		return err
	}
	if err := a.worker.replicas.SetRecord(ctx, a.id, data); err != nil {
		return fmt.Errorf("store what the application offers: %w", err)
	}
	a.mu.Lock()
	a.record.Published = o
	a.mu.Unlock()
	return nil
}

// guard is the application as the relay's policy.
type guard application

var _ relay.Policy = (*guard)(nil)

// Allow decides by the current authorized_users.
func (g *guard) Allow(user hypha.User, method string) error {
	a := (*application)(g)
	a.mu.Lock()
	access, deployer := a.record.Access, a.record.Deployer
	a.mu.Unlock()
	if access.Methods == nil {
		return access.allow(a.id, user, method, nil)
	}
	return access.allow(a.id, user, method, slices.Concat(deployer, a.worker.admins()))
}
