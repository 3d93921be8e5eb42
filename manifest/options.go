package manifest

import "time"

// Options are what @serve.deployment(...) says (contract 3.2). An option that is
// Absent has Ray Serve's default.
type Options struct {
	// ray_actor_options
	NumCPUs         Value[float64]            `json:",omitzero"`
	NumGPUs         Value[float64]            `json:",omitzero"`
	MemoryBytes     Value[float64]            `json:",omitzero"`
	AcceleratorType Value[string]             `json:",omitzero"`
	Resources       Value[map[string]float64] `json:",omitzero"`
	Pip             Value[[]string]           `json:",omitzero"`
	EnvVars         Value[map[string]string]  `json:",omitzero"`

	Name                     Value[string]         `json:",omitzero"`
	Version                  Value[string]         `json:",omitzero"`
	RoutePrefix              Value[string]         `json:",omitzero"`
	MaxOngoingRequests       Value[int]            `json:",omitzero"` // per replica
	MaxQueuedRequests        Value[int]            `json:",omitzero"` // -1: no limit
	NumReplicas              Value[int]            `json:",omitzero"`
	NumReplicasAuto          bool                  `json:",omitzero"` // num_replicas="auto"; NumReplicas is then Absent
	Autoscaling              Value[map[string]any] `json:",omitzero"`
	MaxReplicasPerNode       Value[int]            `json:",omitzero"`
	UserConfig               Value[any]            `json:",omitzero"`
	LogLevel                 Value[string]         `json:",omitzero"` // upper case, or a number as text
	HealthCheckPeriod        Value[time.Duration]  `json:",omitzero"`
	HealthCheckTimeout       Value[time.Duration]  `json:",omitzero"`
	GracefulShutdownTimeout  Value[time.Duration]  `json:",omitzero"`
	GracefulShutdownWaitLoop Value[time.Duration]  `json:",omitzero"`
	MaxConstructorRetryCount Value[int]            `json:",omitzero"`

	Unsupported []string `json:",omitzero"` // names of options that have no meaning here
	Warnings    []string `json:",omitzero"` // sentences about the unsupported ones, each with its place
}

// unreadable marks every option as known only at run time.
func unreadable(place Place, why string) Options {
	return Options{
		NumCPUs: atRunTime[float64](place, why), NumGPUs: atRunTime[float64](place, why), MemoryBytes: atRunTime[float64](place, why),
		AcceleratorType: atRunTime[string](place, why), Resources: atRunTime[map[string]float64](place, why),
		Pip: atRunTime[[]string](place, why), EnvVars: atRunTime[map[string]string](place, why),
		Name: atRunTime[string](place, why), Version: atRunTime[string](place, why), RoutePrefix: atRunTime[string](place, why),
		MaxOngoingRequests: atRunTime[int](place, why), MaxQueuedRequests: atRunTime[int](place, why),
		NumReplicas: atRunTime[int](place, why), Autoscaling: atRunTime[map[string]any](place, why),
		MaxReplicasPerNode: atRunTime[int](place, why), UserConfig: atRunTime[any](place, why), LogLevel: atRunTime[string](place, why),
		HealthCheckPeriod: atRunTime[time.Duration](place, why), HealthCheckTimeout: atRunTime[time.Duration](place, why),
		GracefulShutdownTimeout:  atRunTime[time.Duration](place, why),
		GracefulShutdownWaitLoop: atRunTime[time.Duration](place, why),
		MaxConstructorRetryCount: atRunTime[int](place, why),
	}
}

func atRunTime[T any](place Place, why string) Value[T] {
	return Value[T]{State: Runtime, Place: place, Why: why}
}
