package worker

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

type classEnv = map[string]map[string]string

func TestInherit(t *testing.T) {
	first := request{}.inherit(nil)
	if !reflect.DeepEqual(first, settings{maxOngoing: 10}) {
		t.Errorf("defaults: %+v", first)
	}
	previous := settings{
		kwargs: map[string]map[string]any{"Main": {"n": int64(1)}}, env: classEnv{"Main": {"_KEY": "secret"}},
		token: "t", disableGPU: true, maxOngoing: 3, autoRedeploy: true,
	}
	if got := (request{}).inherit(&previous); !reflect.DeepEqual(got, previous) {
		t.Errorf("nothing given, but %+v", got)
	}
	off, seven := false, 7
	got := request{
		kwargs: map[string]map[string]any{}, env: classEnv{}, token: "u", disableGPU: &off, maxOngoing: &seven, autoRedeploy: &off,
	}.inherit(&previous)
	want := settings{kwargs: map[string]map[string]any{}, env: classEnv{}, token: "u", maxOngoing: 7}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("everything given, but %+v", got)
	}
}

func TestEnvironment(t *testing.T) {
	s := settings{token: "token", env: classEnv{
		"*":    {"SHARED": "all", "_HIDDEN": "all", "_BOTH": "all's secret"},
		"Main": {"SHARED": "main", "_KEY": "secret", "KEY": "plain", "BOTH": "main's own", "HOME": "/elsewhere", "_TMPDIR": "x", "__DOUBLE": "d"},
	}}
	p := place{id: "app", artifact: "ws/a", version: "v1", server: "http://h", workspace: "ws", workerService: "ws/w:bioengine-worker", home: "/apps/app"}
	plain, secret := environment(map[string]string{"CUSTOM": "value", "SHARED": "decorator", "KEY": "decorator"}, s, "Main", p)
	want := map[string]string{
		"CUSTOM": "value", "SHARED": "main", "BOTH": "main's own",
		"HOME": "/apps/app", "TMPDIR": "/apps/app/tmp", "TEMP": "/apps/app/tmp", "TMP": "/apps/app/tmp",
		"HYPHA_SERVER_URL": "http://h", "HYPHA_WORKSPACE": "ws", "HYPHA_ARTIFACT_ID": "ws/a",
		"BIOENGINE_WORKER_SERVICE_ID": "ws/w:bioengine-worker", "BIOENGINE_APPLICATION_ID": "app",
		"BIOENGINE_ARTIFACT_ID": "ws/a", "HYPHA_ARTIFACT_VERSION": "v1", "BIOENGINE_ARTIFACT_VERSION": "v1", "BIOENGINE_APP_DIR": "/apps/app",
	}
	if !maps.Equal(plain, want) {
		t.Errorf("variables: %v", plain)
	}
	if want := map[string]string{"HIDDEN": "all", "KEY": "secret", "_DOUBLE": "d", "HYPHA_TOKEN": "token"}; !maps.Equal(secret, want) {
		t.Errorf("secrets: %v", secret)
	}
	shown := masked(plain, secret)
	if len(shown) != len(plain)+len(secret) || shown["KEY"] != "*****" || shown["HYPHA_TOKEN"] != "*****" || shown["SHARED"] != "main" {
		t.Errorf("shown: %v", shown)
	}
}

func TestUserToken(t *testing.T) {
	for _, name := range []string{"HYPHA_TOKEN", "_HYPHA_TOKEN"} {
		s := settings{env: classEnv{"Main": {name: "user's"}}}
		plain, secret := environment(nil, s, "Main", place{})
		if plain["HYPHA_TOKEN"]+secret["HYPHA_TOKEN"] != "user's" {
			t.Errorf("%s is not used without hypha_token", name)
		}
		s.token = "given"
		if plain, secret = environment(nil, s, "Main", place{}); plain["HYPHA_TOKEN"] != "" || secret["HYPHA_TOKEN"] != "given" {
			t.Errorf("hypha_token does not win over %s", name)
		}
	}
}

func TestSettingsSurviveRestart(t *testing.T) {
	s := settings{
		kwargs: map[string]map[string]any{"Main": {"n": int64(42), "f": 1.0, "b": []byte{0, 255}, "nested": map[string]any{"l": []any{nil, true, "x"}}}},
		env: classEnv{
			"Main":   {"PLAIN": "1", "_KEY": "main's key", "_HOME": "of no effect"},
			"*":      {"_KEY": "everybody's key", "_SHARED": "s"},
			"Absent": {"_KEY": "nobody's key", "KEPT": "k"},
		},
		token: "the token", disableGPU: true, maxOngoing: 3, autoRedeploy: true,
	}
	stored := must(s.store())
	text := string(must(json.Marshal(stored)))
	for _, value := range []string{"main's key", "everybody's key", "the token", `"s"`, "of no effect", "nobody's key"} {
		if strings.Contains(text, value) {
			t.Errorf("the record holds the secret %q: %s", value, text)
		}
	}
	var read storedSettings
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		t.Fatal(err)
	}
	got := must(read.restore(must(s.secrets())))
	if !reflect.DeepEqual(got.kwargs, s.kwargs) {
		t.Errorf("arguments: %#v", got.kwargs)
	}
	if !reflect.DeepEqual(got.env, s.env) {
		t.Errorf("environment: %v", got.env)
	}
	if got.token != s.token || !got.disableGPU || got.maxOngoing != 3 || !got.autoRedeploy {
		t.Errorf("%+v", got)
	}
}

func TestRunArguments(t *testing.T) {
	call := func(name string, value any) *hypha.Request { return &hypha.Request{Args: map[string]any{name: value}} }
	big := strings.Repeat("x", maxEnvBytes)
	for _, c := range []struct {
		name, text string
		value      any
	}{
		{"application_kwargs", "application_kwargs must be a dictionary of keyword arguments.", []any{}},
		{"application_kwargs", "Value for 'Main' in application_kwargs must be a dictionary.", map[string]any{"Main": "x"}},
		{"application_kwargs", "Value for 'Main' in application_kwargs cannot be used: 'f': a value of type function", map[string]any{"Main": map[string]any{"f": &hypha.Function{}}}},
		{"application_kwargs", "application_kwargs is larger than 4 MiB.", map[string]any{"Main": map[string]any{"b": make([]byte, 5<<20)}}},
		{"application_env_vars", "application_env_vars must be a dictionary of environment variables.", "x"},
		{"application_env_vars", "Value for 'Main' in application_env_vars must be a dictionary.", map[string]any{"Main": nil}},
		{"application_env_vars", "Environment variable 'N' must be a string, got int.", map[string]any{"Main": map[string]any{"N": int64(1)}}},
		{"application_env_vars", "Environment variable '_N' must be a string, got NoneType.", map[string]any{"Main": map[string]any{"_N": nil}}},
		{"application_env_vars", "'_' is not a valid name", map[string]any{"Main": map[string]any{"_": "x"}}},
		{"application_env_vars", "'A=B' is not a valid name", map[string]any{"Main": map[string]any{"A=B": "x"}}},
		{"application_env_vars", "contains a null character", map[string]any{"Main": map[string]any{"A": "\x00"}}},
		{"application_env_vars", "application_env_vars is larger than 256 KiB.", map[string]any{"Main": map[string]any{"A": big}}},
	} {
		var err error
		if c.name == "application_kwargs" {
			_, err = kwargsArg(call(c.name, c.value))
		} else {
			_, err = envArg(call(c.name, c.value))
		}
		if err == nil || !strings.HasPrefix(err.Error(), "ValueError: ") || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %.200v", c.text, err)
		}
	}
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	if _, err := kwargsArg(call("application_kwargs", map[string]any{"Main": map[string]any{"d": deep}})); err == nil {
		t.Error("a value nested 100 deep is taken")
	}
}
