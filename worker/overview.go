package worker

import (
	"context"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// getStatus describes the worker (contract 1.3). cluster and nodes are the
// snapshots of a monitor of the cluster; without one they are empty, as they
// are in the original before its first look.
func (w *Worker) getStatus(context.Context, *hypha.Request) (any, error) {
	info := w.own.Load().Info()
	started := time.Unix(0, w.started.Load())
	return map[string]any{
		"service_start_time": epoch(started),
		"service_uptime":     time.Since(started).Seconds(),
		"worker_mode":        w.cfg.Mode,
		"workspace":          info.Workspace,
		"client_id":          info.ClientID,
		"admin_users":        w.admins(),
		"is_ready":           w.ready.Load(),
		"geo_location": map[string]any{
			"region": nil, "country_name": nil, "country_code": nil, "continent_code": nil,
			"latitude": nil, "longitude": nil, "timezone": nil,
		},
		"bioengine_version": w.cfg.Version,
		"ray_version":       w.cfg.RayVersion,
		"ray_cluster": map[string]any{
			"head_address": "N/A", "start_time": epoch(started), "mode": w.cfg.Mode,
			"cluster": map[string]any{}, "nodes": map[string]any{},
		},
	}, nil
}

// epoch is a time as clients see it: Unix seconds.
func epoch(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
