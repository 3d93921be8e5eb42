// Package jobs keeps replicas alive: it plans an application's deployments as
// batch jobs, submits them, lets their agents join over the link, watches,
// replaces and stops them, and finds them again after a restart.
//
// Its main type is Manager. One event loop (loop.go) owns every application,
// deployment and replica; all other goroutines send it events and read the
// values it publishes. The package knows neither Hypha nor a particular batch
// system: callers are told of replicas through Listener, jobs go out through
// scheduler.Scheduler. Imported by worker and cmd/bioengine-hpc.
package jobs
