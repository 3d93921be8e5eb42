package worker

import (
	"context"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

const (
	serviceID   = "bioengine-worker"
	serviceType = "bioengine-worker"
)

// Values of Config.Mode that the contract knows (1.3).
const (
	modeSlurm = "slurm"
	modeLocal = "single-machine"
)

// service is the bioengine-worker service (contract 1).
func (w *Worker) service(info hypha.Info) hypha.Service {
	tail := map[string]string{
		modeSlurm: "a Slurm cluster (mode: slurm)",
		modeLocal: "a single machine (mode: single-machine)",
	}[w.cfg.Mode]
	return hypha.Service{
		ID: serviceID, Name: w.cfg.Name, Type: serviceType,
		Description: "Deploys, updates, observes and stops BioEngine applications and gives them access to datasets. Runs on " + orElse(tail, "mode: "+w.cfg.Mode) + ".",
		Docs:        "Save an application with save_application, run it with run_application, and call it through the service ids that get_application_status shows.",
		Config:      map[string]any{"visibility": "public", "require_context": true},
		Methods:     w.methods(),
	}
}

// methods is the table of contract 1.2, as far as it is built.
func (w *Worker) methods() []hypha.Method {
	return []hypha.Method{
		{
			Name: "get_status", Handler: w.getStatus,
			Doc: "Status of the worker: version, mode, workspace, administrators, and the cluster it runs on.",
		},
		{
			Name: "check_access", Handler: w.checkAccess,
			Doc: "Whether the caller is an administrator of this worker, who may save, run and stop applications.",
		},
		{
			Name: "get_application_status", Handler: w.getApplicationStatus, Params: statusParams,
			Doc: "Status of applications: state, message, deployments with their replicas and logs, and the service ids to call them. " +
				"With one id the status itself is returned, with none or several a mapping of ids to statuses.",
		},
		{
			Name: "run_application", Handler: w.runApplication, Params: runParams,
			Doc: "Deploys an application, or updates the one with the same application_id, for which parameters that are not given keep their values. " +
				"Returns the application's id once the application is valid and accepted; get_application_status tells when it runs. For administrators.",
		},
		{
			Name: "stop_application", Handler: w.stopApplication,
			Params: []hypha.Param{{Name: "application_id", Type: "string", Required: true, Description: "Id of the application, as run_application returned it."}},
			Doc:    "Stops an application and forgets it. Returns at once; its status is DELETING until its last job has ended. For administrators.",
		},
		{
			Name: "save_application", Handler: w.saveApplication,
			Params: []hypha.Param{{Name: "files", Type: "array", Required: true, Schema: filesSchema}},
			Doc:    "Creates or updates an application in the worker's workspace from its files, and returns its artifact id. Files that the artifact had before and are not among them are removed. For administrators.",
		},
	}
}

// admit checks that a call comes from an administrator.
func (w *Worker) admit(r *hypha.Request, what string) (identity, error) {
	return checkAdmin(r.Caller, w.admins(), what)
}

// admins is the worker's own user, as it is now, and the configured ones.
func (w *Worker) admins() []string {
	return adminList(w.own.Load().Info().User, w.cfg.Admins)
}

// checkAccess tells a caller whether admit would let them in.
func (w *Worker) checkAccess(_ context.Context, r *hypha.Request) (any, error) {
	_, err := w.admit(r, "accessing BioEngine Worker")
	return err == nil, nil
}

// optionalObject is the JSON schema of a mapping with values of one kind, or null.
func optionalObject(description string, values map[string]any) map[string]any {
	return map[string]any{
		"anyOf": []any{
			map[string]any{"type": "object", "additionalProperties": values},
			map[string]any{"type": "null"},
		},
		"default": nil, "description": description,
	}
}

// optional is the JSON schema of a value that may be null.
func optional(kind, description string) map[string]any {
	return map[string]any{
		"anyOf":   []any{map[string]any{"type": kind}, map[string]any{"type": "null"}},
		"default": nil, "description": description,
	}
}

var runParams = []hypha.Param{
	{Name: "artifact_id", Type: "string", Required: true, Description: "Artifact to deploy: '<workspace>/<alias>', or '<alias>' in the worker's workspace."},
	{Name: "version", Schema: optional("string", "Version of the artifact; null is the newest, or on an update of the same artifact the version asked for before.")},
	{Name: "application_id", Schema: optional("string", "Id of the application: letters, numbers, hyphens and underscores. One that is deployed is updated; null generates one.")},
	{Name: "application_kwargs", Type: "object", Schema: optionalObject("Constructor arguments by class name.", map[string]any{"type": "object"})},
	{Name: "application_env_vars", Type: "object", Schema: optionalObject("Environment variables by class name; '*' is every class. A variable whose name begins with '_' is a secret: it is set without the underscore and never shown.",
		map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}})},
	{Name: "hypha_token", Schema: optional("string", "Hypha token that the application finds as HYPHA_TOKEN.")},
	{Name: "disable_gpu", Type: "boolean", Schema: optional("boolean", "Run without GPUs even if the application asks for some (false).")},
	{Name: "max_ongoing_requests", Type: "integer", Schema: optional("integer", "How many requests the application takes at the same time (10).")},
	{Name: "auto_redeploy", Type: "boolean", Schema: optional("boolean", "Kept and shown. Failed replicas are always replaced, with growing pauses (false).")},
}

var statusParams = []hypha.Param{
	{Name: "application_ids", Type: "array", Schema: map[string]any{
		"anyOf":   []any{map[string]any{"type": "array", "items": map[string]any{"type": "string"}}, map[string]any{"type": "null"}},
		"default": nil, "description": "Ids of applications; null is every deployed one.",
	}},
	{Name: "logs_tail", Type: "integer", Default: defaultTail, Description: "Number of newest log lines per replica and stream; -1 is all."},
	{Name: "n_previous_replica", Type: "integer", Default: 0, Description: "Number of ended replicas per deployment whose logs are added, newest first; -1 is all."},
}

var filesSchema = map[string]any{
	"type": "array", "description": "All files of the application's folder, manifest.yaml among them.",
	"items": map[string]any{
		"type": "object", "required": []any{"name", "content"},
		"properties": map[string]any{
			"name":    map[string]any{"type": "string", "description": "Path relative to the application's folder, with '/'."},
			"content": map[string]any{"type": "string", "description": "Text, or base64."},
			"type":    map[string]any{"type": "string", "enum": []any{"text", "base64"}, "default": "text"},
		},
	},
}
