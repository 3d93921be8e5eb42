package worker

import "strings"

const (
	defaultMaxOngoing = 10
	maxMaxOngoing     = 100_000
	everyClass        = "*" // the key of application_env_vars that holds for all classes
	hidden            = "*****"
)

// settings are the parameters of run_application that an update inherits
// (contract 6). A nil map was never given.
type settings struct {
	kwargs       map[string]map[string]any    // by class
	env          map[string]map[string]string // by class, secrets under their name with the underscore
	token        string                       // hypha_token
	disableGPU   bool
	maxOngoing   int
	autoRedeploy bool
}

// request is one call of run_application; nil and "" mean "not given".
type request struct {
	artifact     string
	version      string
	id           string
	kwargs       map[string]map[string]any
	env          map[string]map[string]string
	token        string
	disableGPU   *bool
	maxOngoing   *int
	autoRedeploy *bool
}

// inherit completes a request: what it does not give comes from what ran
// under the same id before, else from the defaults.
func (r request) inherit(previous *settings) settings {
	s := settings{maxOngoing: defaultMaxOngoing}
	if previous != nil {
		s = *previous
	}
	if r.kwargs != nil {
		s.kwargs = r.kwargs
	}
	if r.env != nil {
		s.env = r.env
	}
	if r.token != "" {
		s.token = r.token
	}
	if r.disableGPU != nil {
		s.disableGPU = *r.disableGPU
	}
	if r.maxOngoing != nil {
		s.maxOngoing = *r.maxOngoing
	}
	if r.autoRedeploy != nil {
		s.autoRedeploy = *r.autoRedeploy
	}
	return s
}

// kwargsOf is what one class is constructed with; it is never nil.
func (s settings) kwargsOf(class string) map[string]any {
	if given := s.kwargs[class]; given != nil {
		return given
	}
	return map[string]any{}
}

// envOf is the environment given for one class, its secrets apart and without
// their underscore. The class's own variables win over those for every class,
// a secret wins over a plain variable beside it.
func (s settings) envOf(class string) (plain, secret map[string]string) {
	plain, secret = map[string]string{}, map[string]string{}
	for _, layer := range []map[string]string{s.env[everyClass], s.env[class]} {
		for name, value := range layer {
			if _, ok := secretName(name); !ok {
				plain[name] = value
				delete(secret, name)
			}
		}
		for name, value := range layer {
			if bare, ok := secretName(name); ok {
				secret[bare] = value
				delete(plain, bare)
			}
		}
	}
	return plain, secret
}

// secretName is the variable that a leading underscore hides.
func secretName(name string) (string, bool) { return strings.CutPrefix(name, "_") }

// masked is an environment as a client may see it.
func masked(plain, secret map[string]string) map[string]any {
	shown := make(map[string]any, len(plain)+len(secret))
	for name, value := range plain {
		shown[name] = value
	}
	for name := range secret {
		shown[name] = hidden
	}
	return shown
}
