package manifest

import "time"

// Options are what @serve.deployment(...) says (contract 3.2). An option that is
// Absent has Ray Serve's default.
type Options struct {
	// ray_actor_options
	NumCPUs         Value[float64]
	NumGPUs         Value[float64]
	MemoryBytes     Value[float64]
	AcceleratorType Value[string]
	Resources       Value[map[string]float64]
	Pip             Value[[]string]
	EnvVars         Value[map[string]string]

	Name                     Value[string]
	Version                  Value[string]
	RoutePrefix              Value[string]
	MaxOngoingRequests       Value[int] // per replica
	MaxQueuedRequests        Value[int] // -1: no limit
	NumReplicas              Value[int]
	NumReplicasAuto          bool // num_replicas="auto"; NumReplicas is then Absent
	Autoscaling              Value[map[string]any]
	MaxReplicasPerNode       Value[int]
	UserConfig               Value[any]
	LogLevel                 Value[string] // upper case, or a number as text
	HealthCheckPeriod        Value[time.Duration]
	HealthCheckTimeout       Value[time.Duration]
	GracefulShutdownTimeout  Value[time.Duration]
	GracefulShutdownWaitLoop Value[time.Duration]
	MaxConstructorRetryCount Value[int]

	Unsupported []string // names of options that have no meaning here
	Warnings    []string // sentences about the unsupported ones, each with its place
}

// unreadable marks every option as known only at run time.
func unreadable(place Place, why string) Options {
	return Options{
		NumCPUs: runtime[float64](place, why), NumGPUs: runtime[float64](place, why), MemoryBytes: runtime[float64](place, why),
		AcceleratorType: runtime[string](place, why), Resources: runtime[map[string]float64](place, why),
		Pip: runtime[[]string](place, why), EnvVars: runtime[map[string]string](place, why),
		Name: runtime[string](place, why), Version: runtime[string](place, why), RoutePrefix: runtime[string](place, why),
		MaxOngoingRequests: runtime[int](place, why), MaxQueuedRequests: runtime[int](place, why),
		NumReplicas: runtime[int](place, why), Autoscaling: runtime[map[string]any](place, why),
		MaxReplicasPerNode: runtime[int](place, why), UserConfig: runtime[any](place, why), LogLevel: runtime[string](place, why),
		HealthCheckPeriod: runtime[time.Duration](place, why), HealthCheckTimeout: runtime[time.Duration](place, why),
		GracefulShutdownTimeout:  runtime[time.Duration](place, why),
		GracefulShutdownWaitLoop: runtime[time.Duration](place, why),
		MaxConstructorRetryCount: runtime[int](place, why),
	}
}

func runtime[T any](place Place, why string) Value[T] {
	return Value[T]{State: Runtime, Place: place, Why: why}
}
