// Package worker is what clients see: the bioengine-worker service, the
// applications it runs, who may use them, their status and their logs.
//
// Its main type is Worker, made by New, filled by Recover with what an earlier
// controller ran, and driven by Run. It keeps one Hypha connection for its own
// service and one for each application. Package jobs runs the replicas and
// tells the worker of them (Worker is its Listener); package worker/relay
// carries the calls. Imported by cmd/bioengine-hpc.
//
// The files are the steps of the two paths of design 5 and contract 2.3:
//
//	run.go          run_application: parameters in, id out
//	fetch.go        artifact -> manifest and deployment files; source.go one file of it
//	build.go        manifest, files, parameters -> jobs.Application
//	environment.go  what a replica finds in its environment
//	application.go  one tracked application; connect.go its Hypha connection
//	publish.go      its service comes and goes with its replicas; describe.go what it says
//	health.go       what its callers hear while no replica can serve them
//	status.go       its state in the contract's words; logs.go what it wrote
//	stop.go         its end
//	save.go         an upload, step by step
package worker
