package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/apptainer"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Check says whether an application could run here: its plan against the
// site's rules, its images, and the cluster's partitions. It changes nothing.
func (m *Manager) Check(ctx context.Context, app Application) (Plan, error) {
	plan, err := MakePlan(app, m.cfg.Site)
	if err != nil {
		return plan, err
	}
	partitions := m.partitions.get(ctx, m.scheduler, m.log)
	checked := map[string]bool{}
	for _, a := range plan.Allocations {
		if checked[a.Deployment] {
			continue
		}
		checked[a.Deployment] = true
		if err := checkAllocation(a, partitions); err != nil {
			return plan, &RequestError{Deployment: a.Deployment, Text: err.Error()}
		}
	}
	return plan, nil
}

func checkAllocation(a Allocation, partitions []scheduler.Partition) error {
	image, err := apptainer.ParseImage(a.Image)
	if err != nil {
		return err
	}
	if err := image.Check(); err != nil {
		return err
	}
	spec := a.Spec
	spec.Name = a.Deployment
	return scheduler.Fits(spec, partitions)
}

// Deploy accepts an application, or an update of the one with the same ID:
// after it returned nil the application is stored and its jobs follow. On an
// error nothing has changed.
func (m *Manager) Deploy(ctx context.Context, app Application) error {
	plan, err := m.Check(ctx, app)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.cfg.homeDir(app.ID), 0o700); err != nil {
		return fmt.Errorf("make the application's directory: %w", err)
	}
	var failure error
	if err := m.do(ctx, func() { failure = m.install(app, plan) }); err != nil {
		return err
	}
	return failure
}

// install stores an application and replaces what ran under its ID.
func (m *Manager) install(app Application, plan Plan) error {
	old := m.apps[app.ID]
	if old != nil && old.removing {
		return &RequestError{Text: fmt.Sprintf("application '%s' is being stopped; try again when it is gone", app.ID)}
	}
	app.Revision = 1
	if old != nil {
		app.Revision = old.Revision + 1
	}
	row, err := encode(app)
	if err != nil {
		return err
	}
	if err := m.store.PutApplication(m.workCtx, row); err != nil {
		return err
	}
	a := newApplication(app, plan)
	now := time.Now()
	if old != nil {
		a.replicas = old.replicas
		for _, r := range a.replicas {
			r.app = a
			m.stop(r, now)
		}
	}
	m.apps[app.ID] = a
	m.log.Info("application accepted", appField(app.ID), zap.Int64("revision", app.Revision), zap.Int("jobs", len(plan.Allocations)))
	m.step(a, now)
	return nil
}

func newApplication(app Application, plan Plan) *application {
	a := &application{Application: app, deployments: map[string]*deployment{}}
	for _, d := range app.Deployments {
		a.deployments[d.Name] = &deployment{Deployment: d}
	}
	for _, al := range plan.Allocations {
		d := a.deployments[al.Deployment]
		d.plan = al
		d.target++
	}
	return a
}

// Remove starts to take an application down. It returns at once; Listener is
// told when the last job has ended.
func (m *Manager) Remove(ctx context.Context, id string) error {
	var failure error
	err := m.do(ctx, func() {
		a := m.apps[id]
		if a == nil {
			failure = ErrUnknown
			return
		}
		if a.removing {
			return
		}
		if failure = m.store.SetRemoving(m.workCtx, id); failure == nil {
			m.takeDown(a)
		}
	})
	return errors.Join(err, failure)
}

func (m *Manager) takeDown(a *application) {
	a.removing = true
	now := time.Now()
	for _, r := range a.replicas {
		m.stop(r, now)
	}
	m.step(a, now)
}

// SetRecord replaces the worker's record of an application.
func (m *Manager) SetRecord(ctx context.Context, id string, record json.RawMessage) error {
	return m.store.SetRecord(ctx, id, record)
}

// stored is Application without its secrets and record, which have columns of
// their own.
type stored struct {
	Deployments []Deployment      `json:"deployments"`
	Files       map[string][]byte `json:"files"`
	Hypha       json.RawMessage   `json:"hypha,omitempty"`
	DisableGPU  bool              `json:"disable_gpu,omitempty"`
	Slurm       json.RawMessage   `json:"slurm,omitempty"`
}

// protected is what the column for secrets holds.
type protected struct {
	Deployments map[string]map[string]string `json:"deployments"`   // by name
	Own         json.RawMessage              `json:"own,omitempty"` // Application.Secrets
}

func encode(app Application) (store.Application, error) {
	secrets := protected{Deployments: map[string]map[string]string{}, Own: app.Secrets}
	plain := stored{Files: app.Files, Hypha: app.Hypha, DisableGPU: app.DisableGPU}
	for _, d := range app.Deployments {
		if len(d.Secrets) > 0 {
			secrets.Deployments[d.Name] = d.Secrets
		}
		d.Secrets = nil
		plain.Deployments = append(plain.Deployments, d)
	}
	row := store.Application{ID: app.ID, Revision: app.Revision, Record: app.Record}
	var errs [3]error
	if app.Slurm != nil {
		plain.Slurm, errs[0] = json.Marshal(app.Slurm)
	}
	row.Spec, errs[1] = json.Marshal(plain)
	row.Secrets, errs[2] = json.Marshal(secrets)
	if row.Record == nil {
		row.Record = json.RawMessage("{}")
	}
	return row, errors.Join(errs[:]...)
}

func decode(row store.Application) (Application, error) {
	var plain stored
	var secrets protected
	if err := errors.Join(json.Unmarshal(row.Spec, &plain), json.Unmarshal(row.Secrets, &secrets)); err != nil {
		return Application{}, fmt.Errorf("read application %s: %w", row.ID, err)
	}
	app := Application{
		ID: row.ID, Revision: row.Revision, Deployments: plain.Deployments, Files: plain.Files,
		Hypha: plain.Hypha, DisableGPU: plain.DisableGPU, Record: row.Record, Secrets: secrets.Own, Removing: row.Removing,
	}
	for i := range app.Deployments {
		app.Deployments[i].Secrets = secrets.Deployments[app.Deployments[i].Name]
	}
	if plain.Slurm != nil {
		if err := json.Unmarshal(plain.Slurm, &app.Slurm); err != nil {
			return Application{}, fmt.Errorf("read application %s: %w", row.ID, err)
		}
	}
	return app, nil
}

// partitionCache keeps the cluster's partitions for a minute: deploying ten
// applications must not mean ten calls of sinfo.
type partitionCache struct {
	mu sync.Mutex // guards the following fields
	at time.Time
	is []scheduler.Partition
}

// get returns no partitions, which refuse nothing, when the cluster cannot
// say.
func (c *partitionCache) get(ctx context.Context, s scheduler.Scheduler, log *zap.Logger) []scheduler.Partition {
	inspector, ok := s.(scheduler.Inspector)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < time.Minute {
		return c.is
	}
	partitions, err := inspector.Partitions(ctx)
	if err != nil {
		log.Warn("cannot read the cluster's partitions; requests are not checked against them", errField(err))
		return nil
	}
	c.at, c.is = time.Now(), partitions
	return partitions
}
