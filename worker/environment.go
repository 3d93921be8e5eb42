package worker

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// Bounds of application_env_vars.
const (
	maxVariables = 256       // per class
	maxEnvBytes  = 256 << 10 // all classes together
)

const tokenVariable = "HYPHA_TOKEN"

// envArg reads application_env_vars: class -> variables.
func envArg(r *hypha.Request) (map[string]map[string]string, error) {
	const name = "application_env_vars"
	given, err := classesArg(r, name, "environment variables")
	if err != nil || given == nil {
		return nil, err
	}
	env := make(map[string]map[string]string, len(given))
	total := 0
	for class, values := range given {
		if len(values) > maxVariables {
			return nil, valueError("Value for '%s' in %s has %d variables, at most %d are allowed.", class, name, len(values), maxVariables)
		}
		env[class] = make(map[string]string, len(values))
		for _, key := range slices.Sorted(maps.Keys(values)) {
			text, err := variable(key, values[key])
			if err != nil {
				return nil, err
			}
			if total += len(key) + len(text); total > maxEnvBytes {
				return nil, valueError("%s is larger than %d KiB.", name, maxEnvBytes>>10)
			}
			env[class][key] = text
		}
	}
	return env, nil
}

// variable checks one variable. Its value may be a secret and is not quoted.
func variable(name string, value any) (string, error) {
	text, ok := value.(string)
	if !ok {
		return "", valueError("Environment variable '%s' must be a string, got %s.", name, pythonType(value))
	}
	bare, _ := secretName(name)
	if bare == "" || strings.ContainsAny(name, "=\x00") {
		return "", valueError("'%.100s' is not a valid name of an environment variable.", name)
	}
	if strings.Contains(text, "\x00") {
		return "", valueError("The value of environment variable '%s' contains a null character.", name)
	}
	return text, nil
}

// place says where an application runs, for its environment.
type place struct {
	id, artifact, version string
	server, workspace     string // HYPHA_SERVER_URL, HYPHA_WORKSPACE
	workerService         string // full id
	home                  string // shared by all replicas of the application
}

// frameworkEnv are the variables that the worker sets over whatever the author
// or the user gave (contract 3.3).
func frameworkEnv(p place) map[string]string {
	temporary := filepath.Join(p.home, "tmp")
	return map[string]string{
		"HOME": p.home, "TMPDIR": temporary, "TEMP": temporary, "TMP": temporary,
		"HYPHA_SERVER_URL": p.server, "HYPHA_WORKSPACE": p.workspace, "HYPHA_ARTIFACT_ID": p.artifact,
		"BIOENGINE_WORKER_SERVICE_ID": p.workerService,
		"BIOENGINE_APPLICATION_ID":    p.id, "BIOENGINE_ARTIFACT_ID": p.artifact,
		"HYPHA_ARTIFACT_VERSION": p.version, "BIOENGINE_ARTIFACT_VERSION": p.version,
		"BIOENGINE_APP_DIR": p.home,
	}
}

// environment puts the layers over one another, later ones winning: the
// decorator's variables, the user's, the user's secrets, the framework's. A
// name is in one of the two results only.
func environment(decorator map[string]string, s settings, class string, p place) (plain, secret map[string]string) {
	user, secret := s.envOf(class)
	plain = maps.Clone(decorator)
	if plain == nil {
		plain = map[string]string{}
	}
	maps.Copy(plain, user)
	if s.token != "" {
		secret[tokenVariable] = s.token
	}
	for name := range secret {
		delete(plain, name)
	}
	for name, value := range frameworkEnv(p) {
		plain[name] = value
		delete(secret, name)
	}
	return plain, secret
}
