package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// provided are the packages that every image has to have (contract 3.2); any
// other of a pip list has to be in the image as well, since environments of
// their own are not built yet.
var provided = []string{"httpx", "hypha-rpc", "pydantic"}

// builder makes an application for the replicas out of what was read and
// asked for. Its methods do no input or output.
type builder struct {
	id       string
	client   string // Hypha client id of the application
	info     hypha.Info
	server   string // HYPHA_SERVER_URL
	service  string // full id of the worker's service
	appsDir  string
	settings settings
	artifact string
	// requested and resolved version; "" = the newest, and not known
	requested, resolved string
	source              *manifest.Application
	files               map[string][]byte
}

// build checks what the classes get and puts the application together.
func (b builder) build() (jobs.Application, error) {
	if err := b.source.CheckKwargs(b.settings.kwargs); err != nil {
		return jobs.Application{}, authorError(err)
	}
	app := jobs.Application{ID: b.id, DisableGPU: b.settings.disableGPU, Slurm: b.source.Slurm, Files: map[string][]byte{}}
	for _, d := range b.source.Deployments {
		built, err := b.deployment(d)
		if err != nil {
			return jobs.Application{}, err
		}
		app.Files[d.FileName()] = b.files[d.FileName()]
		app.Deployments = append(app.Deployments, built)
	}
	app.Deployments[0].Handles = b.handles()
	var problems [2]error
	app.Hypha, problems[0] = b.hypha()
	app.Secrets, problems[1] = b.settings.secrets()
	return app, errors.Join(problems[:]...)
}

func (b builder) deployment(d manifest.Deployment) (jobs.Deployment, error) {
	kwargs, err := pack(b.settings.kwargsOf(d.Class))
	if err != nil {
		return jobs.Deployment{}, fmt.Errorf("pack the arguments of %s: %w", d.Class, err)
	}
	plain, secret := environment(d.Options.EnvVars.Or(nil), b.settings, d.Class, b.place())
	return jobs.Deployment{
		Name: d.Class, File: d.File, Class: d.Class, Options: d.Options,
		Kwargs: kwargs, Env: plain, Secrets: secret,
	}, nil
}

func (b builder) place() place {
	return place{
		id: b.id, artifact: b.artifact, version: b.resolved, server: b.server, workspace: b.info.Workspace,
		workerService: b.service, home: filepath.Join(b.appsDir, b.id),
	}
}

// handles gives the entry one handle per sub-deployment, under the file part
// of its manifest entry (contract 3.4).
func (b builder) handles() []link.HandleRef {
	var refs []link.HandleRef
	for _, d := range b.source.Deployments[1:] {
		refs = append(refs, link.HandleRef{Parameter: d.File, Deployment: d.Class})
	}
	return refs
}

// hypha is what the entry's runtime needs to speak as the application
// (link.Assign.Hypha).
func (b builder) hypha() (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"client_id": b.client, "workspace": b.info.Workspace,
		"manager_id": b.info.ManagerID, "public_base_url": b.info.PublicBaseURL,
		"service": map[string]any{
			"id": b.id, "name": b.source.Name, "type": applicationType,
			"description": shorten(b.source.Description, maxDescription), "docs": "",
			"config": map[string]any{"visibility": "public", "require_context": true},
		},
	})
}

// record is what the worker keeps of the application; the caller adds who and
// when.
func (b builder) record() (record, error) {
	stored, err := b.settings.store()
	if err != nil {
		return record{}, err
	}
	return record{
		Workspace: b.info.Workspace, ArtifactID: b.artifact, Requested: b.requested, Resolved: b.resolved,
		Name: b.source.Name, Description: b.source.Description,
		Access:  access{Users: b.source.AuthorizedUsers, Methods: b.source.AuthorizedByMethod},
		Methods: b.source.Entry().Methods, Resources: b.resources(), Warnings: b.warnings(),
		Settings: stored,
	}, nil
}

// resources adds up what the decorators ask for. What is known only at run
// time counts as the default, as it does for the plan.
func (b builder) resources() resources {
	var sum resources
	for _, d := range b.source.Deployments {
		sum.CPUs += d.Options.NumCPUs.Or(1)
		sum.MemoryBytes += d.Options.MemoryBytes.Or(0)
		if !b.settings.disableGPU {
			sum.GPUs += d.Options.NumGPUs.Or(0)
		}
	}
	return sum
}

// warnings are sentences for the author about what will not be as written.
func (b builder) warnings() []string {
	var all []string
	for _, d := range b.source.Deployments {
		for _, warning := range d.Options.Warnings {
			all = append(all, d.Class+": "+warning)
		}
		if v := d.Options.EnvVars; v.State == manifest.Runtime {
			all = append(all, fmt.Sprintf("%s: runtime_env.env_vars is not applied: its value is known only at run time because %s (%s).", d.Class, v.Why, v.Place))
		}
		if missing := notProvided(d.Options.Pip.Or(nil)); len(missing) > 0 {
			all = append(all, fmt.Sprintf("%s: runtime_env.pip is not installed by this worker: %s must be in the image (%s).", d.Class, strings.Join(missing, ", "), d.Options.Pip.Place))
		}
	}
	return all
}

// notProvided are the names in a pip list that no image has to have.
func notProvided(requirements []string) []string {
	var names []string
	for _, r := range requirements {
		name := packageName(r)
		if name != "" && !slices.Contains(provided, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// packageName is a requirement's name as package indexes compare it.
func packageName(requirement string) string {
	name := requirement
	if i := strings.IndexAny(name, "[=<>!~;@ \t"); i >= 0 {
		name = name[:i]
	}
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}
