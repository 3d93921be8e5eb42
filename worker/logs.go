package worker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// readLogs asks for the logs of an application by deployment and replica.
func (w *Worker) readLogs(ctx context.Context, id string, q statusQuery) logs {
	found, err := w.replicas.Logs(ctx, id, q.tail, q.previous)
	return logs{byDeployment: found, err: err, room: q.room}
}

// maxLogBytes bounds the log lines of one answer: Hypha carries 256 MiB.
const maxLogBytes = 32 << 20

type logs struct {
	byDeployment map[string]map[string]jobs.Log
	err          error
	room         *int
}

// fit takes the newest lines that the answer has room for, and says when
// older ones are left out.
func (l logs) fit(lines []string) []string {
	for i := len(lines) - 1; i >= 0; i-- {
		if *l.room -= len(lines[i]); *l.room < 0 {
			*l.room = 0
			note := fmt.Sprintf("(%d older lines are left out: ask for fewer lines or applications)", i+1)
			return append([]string{note}, validText(lines[i+1:])...)
		}
	}
	return validText(list(lines))
}

// of are one deployment's logs: living replicas first, then the dead, newest
// first.
func (l logs) of(d jobs.DeploymentStatus) any {
	if l.err != nil {
		return map[string]any{"error": fmt.Sprintf("Error retrieving logs: %s", l.err)}
	}
	living := map[string]bool{}
	for _, r := range d.Replicas {
		living[r.ID] = true
	}
	found := l.byDeployment[d.Name]
	ids := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		if living[a] != living[b] {
			if living[a] {
				return -1
			}
			return 1
		}
		return cmp.Or(found[b].Created.Compare(found[a].Created), cmp.Compare(a, b))
	})
	shown := ordered{}
	for _, id := range ids {
		shown = append(shown, entry{id, l.one(found[id])})
	}
	return shown
}

func (l logs) one(log jobs.Log) map[string]any {
	shown := map[string]any{
		"creation_timestamp": nil, "timezone": nil, "stdout": l.fit(log.Stdout), "stderr": l.fit(log.Stderr),
	}
	if !log.Created.IsZero() {
		shown["creation_timestamp"] = epoch(log.Created)
	}
	if log.Timezone != "" {
		shown["timezone"] = log.Timezone
	}
	return shown
}

// deployments is the status's part about replicas (contract 5.2), in the order
// of the manifest.
func (v view) deployments(l logs) ordered {
	shown := ordered{}
	for _, d := range v.jobs.Deployments {
		shown = append(shown, entry{d.Name, ordered{
			{"status", d.Status},
			{"message", strings.ToValidUTF8(d.Message, "\uFFFD")},
			{"replica_states", nonZero(d.ReplicaStates)},
			{"replicas", replicaList(d.Replicas)},
			{"resource_usage", map[string]any{"num_cpus": whole(d.CPUs), "num_gpus": whole(d.GPUs), "memory": whole(d.MemoryBytes)}},
			{"logs", l.of(d)},
		}})
	}
	return shown
}

func nonZero(states map[string]int) map[string]any {
	shown := map[string]any{}
	for state, n := range states {
		if n != 0 {
			shown[state] = n
		}
	}
	return shown
}

// replicaList tells of each living replica where it runs and how long the
// steps of its start took, in seconds (design 5).
func replicaList(replicas []jobs.ReplicaStatus) []any {
	shown := make([]any, len(replicas))
	for i, r := range replicas {
		steps := map[string]any{}
		for name, took := range r.Steps {
			steps[name] = took.Seconds()
		}
		shown[i] = map[string]any{
			"replica_id": r.ID, "tag": r.Tag, "job_id": r.JobID, "state": r.State, "node": r.Node,
			"message": strings.ToValidUTF8(r.Message, "\uFFFD"), "start_time_s": epoch(r.Created), "steps": steps,
		}
	}
	return shown
}
