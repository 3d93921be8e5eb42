package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

const (
	defaultTail  = 30
	maxStatusIDs = 1000
)

// statusKeys are the keys of one application's status; no application may have
// such an id (contract 0.1 #1).
var statusKeys = []string{
	"display_name", "description", "artifact_id", "version", "status", "message", "deployments",
	"application_kwargs", "application_env_vars", "gpu_enabled", "application_resources", "authorized_users",
	"available_methods", "max_ongoing_requests", "service_ids", "start_time", "started_at", "last_updated_at",
	"last_updated_by", "auto_redeploy", "recovered_app", "static_site_url", "warnings",
}

// statusQuery is one call of get_application_status.
type statusQuery struct {
	ids            []string // nil: all
	tail, previous int
	room           *int // bytes of log lines that the answer still has room for
}

// getApplicationStatus answers in the two shapes of contract 0.1 #1 and #2:
// a single id gives the status itself, with the nested form added under the id.
func (w *Worker) getApplicationStatus(ctx context.Context, r *hypha.Request) (any, error) {
	q, err := parseStatus(r)
	if err != nil {
		return nil, err
	}
	ids := q.ids
	if ids == nil {
		ids = w.tracked()
	}
	nested := ordered{}
	for _, id := range ids {
		status, err := w.statusOf(ctx, id, q)
		if err != nil {
			return nil, err
		}
		nested = append(nested, entry{id, status})
	}
	if len(q.ids) != 1 {
		return nested.raw()
	}
	return flat(nested[0]).raw()
}

// flat is the status of one application, plus itself under the id. Service ids
// are a mapping in the flat form and a list of one in the nested one.
func flat(one entry) ordered {
	var shown ordered
	for _, e := range one.value.(ordered) {
		if list, ok := e.value.([]any); ok && e.key == "service_ids" {
			e.value = list[0]
		}
		shown = append(shown, e)
	}
	return append(shown, one)
}

func parseStatus(r *hypha.Request) (q statusQuery, err error) {
	if q.ids, err = idsArg(r); err != nil {
		return q, err
	}
	if q.tail, err = countArg(r, "logs_tail", defaultTail); err != nil {
		return q, err
	}
	room := maxLogBytes
	q.room = &room
	q.previous, err = countArg(r, "n_previous_replica", 0)
	return q, err
}

// idsArg reads application_ids without repetitions.
func idsArg(r *hypha.Request) ([]string, error) {
	if r.Args["application_ids"] == nil {
		return nil, nil
	}
	list, ok := r.Args["application_ids"].([]any)
	if !ok {
		return nil, valueError("application_ids must be a list of strings or None")
	}
	if len(list) == 0 {
		return nil, valueError("application_ids list cannot be empty")
	}
	if len(list) > maxStatusIDs {
		return nil, valueError("application_ids has %d entries, at most %d are allowed", len(list), maxStatusIDs)
	}
	ids := make([]string, 0, len(list))
	seen := map[string]bool{}
	for _, item := range list {
		id, ok := item.(string)
		if !ok {
			return nil, valueError("application_ids must be a list of strings or None")
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// countArg reads a number of things; -1 means all of them.
func countArg(r *hypha.Request, name string, fallback int) (int, error) {
	n, err := intArg(r, name)
	if err != nil || n == nil {
		return fallback, err
	}
	if *n < -1 {
		return 0, valueError("%s must be -1 (all) or more, but got %d", name, *n)
	}
	return *n, nil
}

// statusOf assembles one application's status (contract 1.8).
func (w *Worker) statusOf(ctx context.Context, id string, q statusQuery) (ordered, error) {
	a := w.find(id)
	running, err := w.replicas.Status(ctx, id)
	known := err == nil
	if err != nil && !errors.Is(err, jobs.ErrUnknown) {
		return nil, runtimeError("The state of application '%s' is not known: %s", id, err)
	}
	if a == nil {
		return untracked(id), nil
	}
	v := a.view()
	v.known, v.jobs = known, running
	v.Deleting = v.Deleting || running.Deleting
	word, message := v.judge()
	return ordered{
		{"display_name", v.record.Name},
		{"description", v.record.Description},
		{"artifact_id", v.record.ArtifactID},
		{"version", orElse(orElse(v.record.Requested, v.record.Resolved), "latest")},
		{"status", word},
		{"message", strings.ToValidUTF8(message, "\uFFFD")},
		{"deployments", v.deployments(w.readLogs(ctx, id, q))},
		{"application_kwargs", v.kwargs()},
		{"application_env_vars", v.env},
		{"gpu_enabled", !v.settings.disableGPU},
		{"application_resources", map[string]any{
			"num_cpus": whole(v.record.Resources.CPUs), "num_gpus": whole(v.record.Resources.GPUs), "memory": whole(v.record.Resources.MemoryBytes),
		}},
		{"authorized_users", v.record.Access.shown()},
		{"available_methods", v.methods()},
		{"max_ongoing_requests", v.settings.maxOngoing},
		{"service_ids", []any{v.serviceIDs()}},
		{"start_time", epoch(v.record.StartTime)},
		{"started_at", epoch(v.record.StartTime)},
		{"last_updated_at", epoch(v.record.UpdatedAt)},
		{"last_updated_by", v.record.UpdatedBy},
		{"auto_redeploy", v.settings.autoRedeploy},
		{"recovered_app", v.Recovered},
		{"static_site_url", nil},
		{"warnings", list(v.record.Warnings)},
	}, nil
}

// untracked is the answer about an application that does not run.
func untracked(id string) ordered {
	return ordered{
		{"status", "NOT_RUNNING"},
		{"message", fmt.Sprintf("Application '%s' is not currently deployed. To deploy this application, call "+
			"run_application(application_id='%s', ...) with the artifact to run.", id, id)},
	}
}

func deletingMessage(id string) string {
	return fmt.Sprintf("Application '%s' is being stopped.", id)
}

// whole is an integer where there is no fraction, as the author wrote it.
func whole(f float64) any {
	if i := int64(f); float64(i) == f {
		return i
	}
	return f
}

// list is never null on the wire.
func list(items []string) []string {
	if items == nil {
		return []string{}
	}
	return items
}
