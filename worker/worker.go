package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// Replicas runs applications; *jobs.Manager implements it. Errors are
// *jobs.RequestError when the application's author can mend them and
// jobs.ErrUnknown for applications that it does not have.
type Replicas interface {
	// Deploy stores an application, or an update of one, and starts its
	// replicas. On an error nothing has changed.
	Deploy(ctx context.Context, app jobs.Application) error
	// Remove starts a removal; Worker.Removed tells of its end.
	Remove(ctx context.Context, id string) error
	// SetRecord replaces the worker's own record of an application.
	SetRecord(ctx context.Context, id string, record json.RawMessage) error
	// Applications are all that are stored, those being removed too.
	Applications(ctx context.Context) ([]jobs.Application, error)
	Status(ctx context.Context, id string) (jobs.Status, error)
	Logs(ctx context.Context, id string, tail, previous int) (map[string]map[string]jobs.Log, error)
}

// Reader reads what an author wrote; manifest.Reader implements it.
type Reader interface {
	// Read reads an application from its manifest and deployment files, by path.
	Read(ctx context.Context, files map[string][]byte, rules manifest.Rules) (*manifest.Application, error)
}

var (
	_ Replicas = (*jobs.Manager)(nil)
	_ Reader   = manifest.Reader{}
)

// Config is what a worker needs to know.
type Config struct {
	// Hypha says where and as whom to connect. ClientID must be given and stay
	// the same over restarts, or service ids change. Router and OnState are the
	// worker's. The limits hold for each connection on its own.
	Hypha hypha.Config
	// Name is the service's display name; "" is "BioEngine Worker".
	Name string
	// Mode is what get_status calls worker_mode: "slurm" or "single-machine".
	Mode string
	// Admins are the ids or emails of users who may deploy; "*" is everybody.
	// The worker's own user is one always.
	Admins []string
	// AppsDir holds the HOME directories of applications, as replicas see it. It
	// must be jobs.Config.AppsDir.
	AppsDir string
	// LocalArtifacts, when not "", is a folder whose sub-folders (an artifact's
	// alias with "_" for "-") are used instead of the artifact's files: the
	// development override BIOENGINE_LOCAL_ARTIFACT_PATH.
	LocalArtifacts string
	// Version is shown as bioengine_version, RayVersion as ray_version: the API
	// level of the runtime's ray.serve.
	Version, RayVersion string
	Log                 *zap.Logger // nil logs nothing
}

// Worker serves clients. Make it with New, call Recover once before the
// replicas' manager runs, then Run.
type Worker struct {
	cfg      Config
	replicas Replicas
	reader   Reader
	log      *zap.Logger
	transfer transfer

	deploying *turn // one run_application at a time (contract 1.7)
	saving    *turn
	started   atomic.Int64 // Unix nanoseconds of Run; 0 before
	ready     atomic.Bool
	own       atomic.Pointer[hypha.Client] // of the bioengine-worker service; nil before Run

	mu      sync.Mutex // guards the following fields
	apps    map[string]*application
	order   []string      // ids in the order of deployment
	next    *application  // being deployed for the first time: not yet in apps, but jobs may speak of it
	removal chan struct{} // closed and replaced when an application has gone
	group   *errgroup.Group
	ctx     context.Context // of group; nil while Run does not run
}

var _ jobs.Listener = (*Worker)(nil)

// New makes a worker. It contacts nobody.
func New(cfg Config, replicas Replicas, reader Reader) (*Worker, error) {
	if cfg.Hypha.ServerURL == "" || cfg.Hypha.ClientID == "" || cfg.AppsDir == "" {
		return nil, errors.New("a worker needs the URL of a Hypha server, a client id and a directory for applications")
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	cfg.Name = orElse(cfg.Name, "BioEngine Worker")
	cfg.Mode = orElse(cfg.Mode, modeLocal)
	return &Worker{
		cfg: cfg, replicas: replicas, reader: reader, log: cfg.Log,
		transfer:  transfer{client: newTransfer()},
		deploying: newTurn(), saving: newTurn(),
		apps: map[string]*application{}, removal: make(chan struct{}),
	}, nil
}

// Recover takes up the applications of an earlier controller: same ids, same
// start times. Call it once, before the manager of replicas runs, so that no
// news of them is missed.
func (w *Worker) Recover(ctx context.Context) error {
	stored, err := w.replicas.Applications(ctx)
	if err != nil {
		return fmt.Errorf("read the stored applications: %w", err)
	}
	for _, app := range stored {
		a, err := w.recovered(app)
		if err != nil {
			return fmt.Errorf("recover application %s: %w", app.ID, err)
		}
		w.track(a)
	}
	return nil
}

// Run connects to Hypha, registers the service and serves until ctx ends, then
// disconnects. Jobs are left as they are. It returns nil when ctx ended, and an
// error when the server refuses us for good.
func (w *Worker) Run(ctx context.Context) error {
	defer w.abandon()
	client, err := w.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer client.Close()
	if err := w.checkWorkspace(client.Info().Workspace); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	w.begin(ctx, group)
	defer w.transfer.client.CloseIdleConnections()
	group.Go(func() error { return w.serve(ctx, client) })
	return group.Wait()
}

// abandon lets go of those who bring messages of replicas: nobody will take
// them any more.
func (w *Worker) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.group = nil, nil
	for _, a := range w.apps {
		a.stop()
	}
}

// checkWorkspace refuses to take the applications of one workspace to another:
// their callers would not find them.
func (w *Worker) checkWorkspace(workspace string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.order {
		if of := w.apps[id].current().record.Workspace; of != workspace {
			return valueError("The stored application '%s' belongs to workspace '%s', but the worker is in '%s'. Use another state directory, or a token for that workspace.", id, of, workspace)
		}
	}
	return nil
}

// begin starts the recovered applications; later ones start themselves.
func (w *Worker) begin(ctx context.Context, group *errgroup.Group) {
	w.started.Store(time.Now().UnixNano())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.group = ctx, group
	for _, a := range w.apps {
		w.start(a)
	}
}

// start runs an application's goroutine. The caller holds w.mu.
func (w *Worker) start(a *application) {
	if w.group == nil {
		return // begin will
	}
	ctx := w.ctx
	w.group.Go(func() error {
		a.run(ctx)
		return nil
	})
}

// serve registers the worker's service and waits for the end.
func (w *Worker) serve(ctx context.Context, client *hypha.Client) error {
	defer client.Close() // waits for handlers, which may start applications, while the group still waits for us
	defer w.ready.Store(false)
	if err := client.Register(ctx, w.service(client.Info())); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("register the service %s: %w", serviceID, err)
	}
	w.ready.Store(true)
	w.log.Info("service registered", zap.String("service", w.serviceID()))
	w.checkArtifacts(ctx, client.Info().Workspace)
	select {
	case <-ctx.Done():
		return nil
	case <-client.Done():
		return fmt.Errorf("the connection to Hypha ended: %w", client.Err())
	}
}

// checkArtifacts says early what would hinder applications from being saved
// or run, and makes the collection that Hypha's web interface shows them in.
func (w *Worker) checkArtifacts(ctx context.Context, workspace string) {
	am, err := w.artifacts(ctx)
	if err == nil {
		_, err = ensureCollection(ctx, am, workspace)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("artifacts cannot be used; applications cannot be saved or run until they can", zap.Error(err))
	}
}

// serviceID is the full id of the worker's service.
func (w *Worker) serviceID() string { return w.own.Load().Address() + ":" + serviceID }

// track adds an application, or replaces one that has gone.
func (w *Worker) track(a *application) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apps[a.id] = a
	w.order = append(w.order, a.id)
	w.start(a)
}

// find returns a tracked application or nil.
func (w *Worker) find(id string) *application {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.apps[id]
}

// tracked lists all applications in the order of their deployment.
func (w *Worker) tracked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.order...)
}

// artifacts is the artifact manager. It is asked for anew each time, as its
// address changes when the server restarts.
func (w *Worker) artifacts(ctx context.Context) (artifacts, error) {
	service, err := w.own.Load().GetService(ctx, artifactManager, hypha.GetServiceOptions{})
	if err != nil {
		return nil, fmt.Errorf("find the artifact manager: %w", err)
	}
	return service, nil
}

// transfer moves files over presigned URLs.
type transfer struct{ client *http.Client }
