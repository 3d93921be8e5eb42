package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// removalTime is how long run_application waits for an application of the
// same id that is being stopped.
const removalTime = 2 * time.Minute

// runApplication deploys an application, or updates the one with the same id
// (contract 1.7). The returned id means "valid and accepted", not "running".
// A refusal leaves nothing behind, and what ran before goes on.
func (w *Worker) runApplication(ctx context.Context, r *hypha.Request) (any, error) {
	req, err := w.parseRun(r)
	if err != nil {
		return nil, err
	}
	who, err := w.admit(r, fmt.Sprintf("deploying an application from artifact '%s'", req.artifact))
	if err != nil {
		return nil, err
	}
	if err := w.deploying.take(ctx, "deployments"); err != nil {
		return nil, err
	}
	defer w.deploying.give()
	if err := w.awaitRemoval(ctx, req.id); err != nil {
		return nil, err
	}
	return w.deploy(ctx, req, who)
}

// parseRun reads the parameters and checks what needs no one else.
func (w *Worker) parseRun(r *hypha.Request) (req request, err error) {
	artifact, ok := r.Args["artifact_id"].(string)
	if !ok {
		return req, typeError("Artifact ID must be a string.")
	}
	if req.artifact, err = completeArtifactID(artifact, w.own.Load().Info().Workspace); err != nil {
		return req, err
	}
	var problems [8]error
	req.version, problems[0] = stringArg(r, "version")
	req.id, problems[1] = stringArg(r, "application_id")
	req.kwargs, problems[2] = kwargsArg(r)
	req.env, problems[3] = envArg(r)
	req.token, problems[4] = stringArg(r, "hypha_token")
	req.disableGPU, problems[5] = boolArg(r, "disable_gpu")
	req.maxOngoing, problems[6] = intArg(r, "max_ongoing_requests")
	req.autoRedeploy, problems[7] = boolArg(r, "auto_redeploy")
	for _, err := range problems {
		if err != nil {
			return req, err
		}
	}
	return req, req.check()
}

func (r request) check() error {
	if r.id != "" {
		if err := checkApplicationID(r.id); err != nil {
			return err
		}
	}
	if len(r.version) > maxArtifactID || len(r.token) > maxEnvBytes {
		return valueError("version or hypha_token is too long.")
	}
	if n := r.maxOngoing; n != nil && (*n < 1 || *n > maxMaxOngoing) {
		return valueError("max_ongoing_requests must be between 1 and %d, but got %d.", maxMaxOngoing, *n)
	}
	return nil
}

// awaitRemoval waits until no application of this id is being stopped, so that
// stopping and running anew in one script works.
func (w *Worker) awaitRemoval(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, removalTime)
	defer cancel()
	for {
		gone := w.nextRemoval() // before asking, so that none is missed
		status, err := w.replicas.Status(ctx, id)
		if errors.Is(err, jobs.ErrUnknown) || err == nil && !status.Deleting {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return runtimeError("The state of application '%s' is not known: %s", id, err)
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return runtimeError("Application '%s' is still being stopped. Please try again when get_application_status shows NOT_RUNNING.", id)
		}
	}
}

func (w *Worker) nextRemoval() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.removal
}

// deploy does the work of run_application. The caller has the turn.
func (w *Worker) deploy(ctx context.Context, req request, who identity) (string, error) {
	var err error
	if req.id == "" {
		if req.id, err = generateID(func(id string) bool { return w.taken(ctx, id) }); err != nil {
			return "", err
		}
	}
	old := w.find(req.id)
	b, err := w.prepare(ctx, req, old)
	if err != nil {
		return "", err
	}
	app, err := b.build()
	if err != nil {
		return "", err
	}
	s := state{settings: b.settings, env: shownEnv(app.Deployments)}
	if s.record, err = b.record(); err != nil {
		return "", err
	}
	s.record.stamp(who, old)
	if app.Record, err = s.record.marshal(); err != nil {
		return "", err
	}
	if err := w.install(ctx, app, s, old); err != nil {
		return "", err
	}
	w.logAccepted(app, s, who, old != nil)
	return req.id, nil
}

// taken says whether an application or its removal still uses an id.
func (w *Worker) taken(ctx context.Context, id string) bool {
	if w.find(id) != nil {
		return true
	}
	_, err := w.replicas.Status(ctx, id)
	return !errors.Is(err, jobs.ErrUnknown)
}

// prepare completes the parameters and reads the application.
func (w *Worker) prepare(ctx context.Context, req request, old *application) (builder, error) {
	var previous *settings
	if old != nil {
		before := old.current()
		previous = &before.settings
		if req.version == "" && before.record.ArtifactID == req.artifact {
			req.version = before.record.Requested // contract 0.1 #13
		}
	}
	rules := manifest.Rules{RequireAuthorizedUsers: true, Artifact: req.artifact}
	got, err := w.fetch(ctx, req.artifact, req.version, rules)
	if err != nil {
		return builder{}, authorError(err)
	}
	source, err := w.reader.Read(ctx, got.files, rules)
	if err != nil {
		return builder{}, authorError(err)
	}
	info := w.own.Load().Info()
	return builder{
		id: req.id, client: clientID(w.cfg.Hypha.ClientID, req.id), info: info,
		server: w.serverURL(info), service: w.serviceID(), appsDir: w.cfg.AppsDir,
		settings: req.inherit(previous), requested: req.version, resolved: got.resolved,
		artifact: req.artifact, source: source, files: got.files,
	}, nil
}

// serverURL is where applications find Hypha: as the server calls itself.
func (w *Worker) serverURL(info hypha.Info) string {
	return orElse(info.PublicBaseURL, w.cfg.Hypha.ServerURL)
}

// stamp says who deployed when; an update keeps the time of the first.
func (r *record) stamp(who identity, old *application) {
	now := time.Now()
	r.StartTime, r.UpdatedAt, r.UpdatedBy = now, now, who.id
	for _, name := range []string{who.id, who.email} {
		if name != "" {
			r.Deployer = append(r.Deployer, name)
		}
	}
	if old != nil {
		r.StartTime = old.current().record.StartTime
	}
}

// install hands the application to the replicas. News of it can come before
// Deploy returns, so a new one is known as next beforehand.
func (w *Worker) install(ctx context.Context, app jobs.Application, s state, old *application) error {
	if old != nil {
		if err := old.update(ctx, app, s); err != nil {
			return refusal(app.ID, err)
		}
		return nil
	}
	a, err := w.newApplication(app.ID, s)
	if err != nil {
		return err
	}
	w.setNext(a)
	defer w.setNext(nil)
	if err := w.replicas.Deploy(ctx, app); err != nil {
		a.stop()
		return refusal(app.ID, err)
	}
	w.track(a)
	return nil
}

func (w *Worker) setNext(a *application) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = a
}

// logAccepted notes the deployment. Environments are printed as the status
// shows them, without secrets.
func (w *Worker) logAccepted(app jobs.Application, s state, who identity, update bool) {
	log := w.log.With(zap.String("app", app.ID))
	log.Info("application accepted", zap.String("artifact", s.record.ArtifactID), zap.String("version", s.record.Resolved),
		zap.String("user", who.name()), zap.Bool("update", update), zap.Int("deployments", len(app.Deployments)))
	for _, d := range app.Deployments {
		log.Debug("environment", zap.String("deployment", d.Name), zap.Any("variables", s.env[d.Class]))
	}
	for _, warning := range s.record.Warnings {
		log.Warn("the application is not run as written", zap.String("why", warning))
	}
}
