package worker

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// record is what the worker knows of an application beyond its jobs. It is
// stored with them in one transaction and never holds the value of a secret:
// those are in storedSecrets.
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
	DisableGPU   bool                         `json:"disable_gpu"`
	MaxOngoing   int                          `json:"max_ongoing"`
	AutoRedeploy bool                         `json:"auto_redeploy"`
}

// storedSecrets are the values that storedSettings leaves out. They are stored
// apart from the record, as jobs.Application.Secrets, also those of classes
// that the application does not have: another version may.
type storedSecrets struct {
	Token string                       `json:"token,omitempty"`
	Env   map[string]map[string]string `json:"env,omitempty"` // secret variables only, by class, with the underscore
}

func (s settings) store() (storedSettings, error) {
	stored := storedSettings{DisableGPU: s.disableGPU, MaxOngoing: s.maxOngoing, AutoRedeploy: s.autoRedeploy}
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

func (s settings) secrets() (json.RawMessage, error) {
	stored := storedSecrets{Token: s.token, Env: map[string]map[string]string{}}
	for class, env := range s.env {
		for name, value := range env {
			if _, ok := secretName(name); !ok {
				continue
			}
			if stored.Env[class] == nil {
				stored.Env[class] = map[string]string{}
			}
			stored.Env[class][name] = value
		}
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("pack the application's secrets: %w", err)
	}
	return data, nil
}

// restore is the opposite of store and secrets.
func (stored storedSettings) restore(secrets json.RawMessage) (settings, error) {
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
	var hidden storedSecrets
	if err := json.Unmarshal(secrets, &hidden); err != nil {
		return s, fmt.Errorf("read its secrets: %w", err)
	}
	s.token = hidden.Token
	if stored.Env != nil {
		s.env = map[string]map[string]string{}
	}
	for class, env := range stored.Env {
		s.env[class] = maps.Clone(env)
		maps.Copy(s.env[class], hidden.Env[class])
	}
	return s, nil
}

func (r record) marshal() (json.RawMessage, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("pack the application's record: %w", err)
	}
	return data, nil
}
