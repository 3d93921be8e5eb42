package manifest

import (
	"fmt"
	"slices"

	"github.com/bioengine-hpc/bioengine-hpc/manifest/python"
)

// The options this package reads; any other is warned about by name.
var (
	decoratorOptions = []string{
		"name", "version", "route_prefix", "num_replicas", "ray_actor_options", "max_replicas_per_node", "user_config",
		"max_ongoing_requests", "max_queued_requests", "autoscaling_config", "graceful_shutdown_wait_loop_s",
		"graceful_shutdown_timeout_s", "health_check_period_s", "health_check_timeout_s", "logging_config", "max_constructor_retry_count",
	}
	actorOptions   = []string{"num_cpus", "num_gpus", "memory", "accelerator_type", "resources", "runtime_env"}
	runtimeOptions = []string{"pip", "env_vars", "config"} // config only tunes Ray's own set-up
)

// optionReader turns the arguments of one decorator into Options.
type optionReader struct {
	file     string
	problems *Errors
	out      Options
}

// readOptions reads the keywords of @serve.deployment(...).
func readOptions(file string, keywords *python.Mapping, problems *Errors) Options {
	r := &optionReader{file: file, problems: problems}
	r.readDeployment(keywords)
	actor := r.nested(keywords, "ray_actor_options")
	r.readActor(actor)
	r.readRuntimeEnv(r.nested(actor, "runtime_env"))
	r.warnUnknown(keywords, "", decoratorOptions)
	r.warnUnknown(actor, "ray_actor_options.", actorOptions)
	return r.out
}

func (r *optionReader) readDeployment(d *python.Mapping) {
	o := &r.out
	o.Name = read(r, d, "name", asText)
	o.Version = read(r, d, "version", asText)
	o.RoutePrefix = read(r, d, "route_prefix", asText)
	o.MaxOngoingRequests = read(r, d, "max_ongoing_requests", asCount(1, "a whole number of 1 or more"))
	o.MaxQueuedRequests = read(r, d, "max_queued_requests", asQueue)
	o.MaxReplicasPerNode = read(r, d, "max_replicas_per_node", asCount(1, "a whole number of 1 or more"))
	o.MaxConstructorRetryCount = read(r, d, "max_constructor_retry_count", asCount(1, "a whole number of 1 or more"))
	o.HealthCheckPeriod = read(r, d, "health_check_period_s", asSeconds)
	o.HealthCheckTimeout = read(r, d, "health_check_timeout_s", asSeconds)
	o.GracefulShutdownTimeout = read(r, d, "graceful_shutdown_timeout_s", asSeconds)
	o.GracefulShutdownWaitLoop = read(r, d, "graceful_shutdown_wait_loop_s", asSeconds)
	o.UserConfig = read(r, d, "user_config", asLiteral)
	o.LogLevel = read(r, r.nested(d, "logging_config"), "log_level", asLogLevel)
	r.readReplicas(d)
}

// readReplicas reads num_replicas and autoscaling_config, which exclude one
// another.
func (r *optionReader) readReplicas(d *python.Mapping) {
	o := &r.out
	o.Autoscaling = read(r, d, "autoscaling_config", asAutoscaling)
	v, ok := d.Get("num_replicas")
	if ok && v.Kind == python.Str && v.Str == "auto" {
		o.NumReplicasAuto = true
		return
	}
	o.NumReplicas = read(r, d, "num_replicas", asCount(1, `a whole number of 1 or more, or "auto"`))
	if o.NumReplicas.State == Constant && o.Autoscaling.State == Constant {
		problem := r.problems.add(CodeOption, o.NumReplicas.Place, "Manually setting num_replicas is not allowed when autoscaling_config is provided.")
		problem.Hint = "Set min_replicas and max_replicas in autoscaling_config."
	}
}

func (r *optionReader) readActor(d *python.Mapping) {
	o := &r.out
	o.NumCPUs = read(r, d, "num_cpus", asAmount)
	o.NumGPUs = read(r, d, "num_gpus", asAmount)
	o.MemoryBytes = read(r, d, "memory", asAmount)
	o.AcceleratorType = read(r, d, "accelerator_type", asText)
	o.Resources = read(r, d, "resources", asAmounts)
}

func (r *optionReader) readRuntimeEnv(d *python.Mapping) {
	r.out.Pip = read(r, d, "pip", asPip)
	r.out.EnvVars = read(r, d, "env_vars", asEnvVars)
	r.warnUnknown(d, "ray_actor_options.runtime_env.", runtimeOptions)
}

// nested returns the dictionary of an option; an unknown one makes everything
// inside unknown.
func (r *optionReader) nested(d *python.Mapping, key string) *python.Mapping {
	v, ok := d.Get(key)
	switch {
	case !ok, v.Kind == python.None:
		return &python.Mapping{}
	case v.Kind == python.Dict:
		return v.Dict
	case v.Kind == python.Unknown:
		return python.Obscure(v)
	}
	r.complain(key, v, "a dictionary")
	return &python.Mapping{}
}

// warnUnknown names the options that are given but mean nothing here.
func (r *optionReader) warnUnknown(d *python.Mapping, prefix string, known []string) {
	for _, e := range d.Entries {
		if e.Key.Kind != python.Str || e.Value.Kind == python.None || slices.Contains(known, e.Key.Str) {
			continue
		}
		name := prefix + e.Key.Str
		r.out.Unsupported = append(r.out.Unsupported, name)
		r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("%s: %s has no meaning here and is ignored", r.place(e.Value.Line), clip(name)))
	}
}

func (r *optionReader) place(line int) Place { return Place{File: r.file, Line: line} }

func (r *optionReader) complain(key string, v python.Value, want string) {
	r.problems.add(CodeOption, r.place(v.Line), "Option '%s' must be %s, but is %s.", key, want, shown(v))
}

// shown is a value as its author would write it, at most a few words long.
func shown(v python.Value) string {
	switch v.Kind {
	case python.List, python.Tuple, python.Set, python.Dict:
		return "a " + v.Kind.String()
	}
	return clip(v.Repr())
}
