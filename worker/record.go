package worker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// record is what the worker knows of an application beyond its jobs. It is
// stored with them in one transaction and never holds the value of a secret:
// those are kept by jobs with the deployments they are for.
type record struct {
	Workspace   string         `json:"workspace"` // of the worker
	ArtifactID  string         `json:"artifact_id"`
	Requested   string         `json:"requested_version,omitempty"` // "" = the newest
	Resolved    string         `json:"resolved_version,omitempty"`  // for display
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Access      access         `json:"access"`
	Methods     []string       `json:"methods"`
	Resources   resources      `json:"resources"`
	Warnings    []string       `json:"warnings,omitempty"`
	Deployer    []string       `json:"deployer,omitempty"` // id and email of who deployed
	StartTime   time.Time      `json:"start_time"`
	UpdatedAt   time.Time      `json:"updated_at"`
	UpdatedBy   string         `json:"updated_by"`
	Settings    storedSettings `json:"settings"`
	Published   *offer         `json:"published,omitempty"` // nil until a replica was ready
}

// resources is what an application asks for, over all deployments.
type resources struct {
	CPUs        float64 `json:"cpus"`
	GPUs        float64 `json:"gpus"`
	MemoryBytes float64 `json:"memory_bytes"`
}

// offer is what the entry's first replica said of itself (link.Ready), kept
// so that a restarted controller registers the service at once.
type offer struct {
	Description  []byte   `json:"description"`
	Registration []byte   `json:"registration"`
	Methods      []string `json:"methods"`
}

// storedSettings is settings without the values of secrets.
type storedSettings struct {
	Kwargs       map[string][]byte            `json:"kwargs"` // msgpack, which keeps integers, floats and bytes apart
	Env          map[string]map[string]string `json:"env"`
	HasToken     bool                         `json:"has_token"`
	DisableGPU   bool                         `json:"disable_gpu"`
	MaxOngoing   int                          `json:"max_ongoing"`
	AutoRedeploy bool                         `json:"auto_redeploy"`
}

func (s settings) store() (storedSettings, error) {
	stored := storedSettings{
		HasToken: s.token != "", DisableGPU: s.disableGPU, MaxOngoing: s.maxOngoing, AutoRedeploy: s.autoRedeploy,
	}
	for class, values := range s.kwargs {
		packed, err := pack(values)
		if err != nil {
			return stored, fmt.Errorf("pack the arguments of %s: %w", class, err)
		}
		if stored.Kwargs == nil {
			stored.Kwargs = map[string][]byte{}
		}
		stored.Kwargs[class] = packed
	}
	if s.env != nil {
		stored.Env = map[string]map[string]string{}
	}
	for class, env := range s.env {
		stored.Env[class] = blanked(env)
	}
	return stored, nil
}

func blanked(env map[string]string) map[string]string {
	env = maps.Clone(env)
	for name := range env {
		if _, ok := secretName(name); ok {
			env[name] = ""
		}
	}
	return env
}

// restore is the opposite of store, with the values of secrets taken back
// from the deployments that hold them.
func (stored storedSettings) restore(deployments []jobs.Deployment) (settings, error) {
	s := settings{disableGPU: stored.DisableGPU, maxOngoing: stored.MaxOngoing, autoRedeploy: stored.AutoRedeploy}
	for class, packed := range stored.Kwargs {
		values, err := unpackMap(packed)
		if err != nil {
			return s, fmt.Errorf("unpack the arguments of %s: %w", class, err)
		}
		if s.kwargs == nil {
			s.kwargs = map[string]map[string]any{}
		}
		s.kwargs[class] = values
	}
	for _, d := range deployments {
		if stored.HasToken {
			s.token = d.Secrets[tokenVariable]
		}
	}
	if stored.Env != nil {
		s.env, s.lost = map[string]map[string]string{}, map[string][]string{}
	}
	for class, env := range stored.Env {
		s.env[class] = maps.Clone(env)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			s.restoreSecret(class, name, stored.Env, deployments)
		}
	}
	return s, nil
}

func (s settings) restoreSecret(class, name string, env map[string]map[string]string, deployments []jobs.Deployment) {
	bare, ok := secretName(name)
	if !ok {
		return
	}
	for _, d := range deployments {
		_, own := env[d.Class][name]
		_, plain := env[d.Class][bare]
		holds := d.Class == class || class == everyClass && !own && !plain
		if value, ok := d.Secrets[bare]; ok && holds {
			s.env[class][name] = value
			return
		}
	}
	if !isFramework(bare) { // the framework's value wins anyway
		s.lost[class] = append(s.lost[class], bare)
	}
}

func (r record) marshal() (json.RawMessage, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("pack the application's record: %w", err)
	}
	return data, nil
}
