package worker

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

const composition = `
id: composition
name: Composition
id_emoji: "🧩"
description: Calls two others
type: ray-serve
authorized_users: {"*": ["alice"]}
deployments: ["main:Main", "deployment1:Deployment1", "deployment2:Deployment2"]
slurm: {partition: gpu}
`

var compositionFiles = map[string][]byte{
	"manifest.yaml": []byte(composition),
	"main.py": []byte(`
from hypha_rpc.utils.schema import schema_method
from ray import serve
from ray.serve.handle import DeploymentHandle

@serve.deployment(ray_actor_options={"num_cpus": 2, "memory": 1024**3, "runtime_env": {
    "pip": ["torch==2.5.1", "httpx[http2]>=0.28", "Scikit_Learn"], "env_vars": {"CUSTOM": "1"}}})
class Main:
    def __init__(self, demo_input: str, deployment1: DeploymentHandle, deployment2: DeploymentHandle, n: int = 1):
        pass

    @schema_method
    async def calculate(self, number: int) -> str:
        return ""
`),
	"deployment1.py": []byte("from ray import serve\n@serve.deployment(ray_actor_options={'num_gpus': 0.5})\nclass Deployment1:\n    pass\n"),
	"deployment2.py": []byte("from ray import serve\n@serve.deployment\nclass Deployment2:\n    def __init__(self, start_number: int): pass\n"),
}

func composed(t *testing.T, s settings) builder {
	t.Helper()
	source, err := manifest.Reader{}.Read(t.Context(), compositionFiles, manifest.Rules{RequireAuthorizedUsers: true, Artifact: "ws/composition"})
	if err != nil {
		t.Fatal(err)
	}
	return builder{
		id: "app", client: "w-12345678", info: hypha.Info{Workspace: "ws", ManagerID: "m", PublicBaseURL: "http://h"},
		server: "http://h", service: "ws/w:bioengine-worker", appsDir: "/apps", settings: s,
		resolved: "v2", artifact: "ws/composition", source: source, files: compositionFiles,
	}
}

var composedArguments = map[string]map[string]any{
	"Main": {"demo_input": "x"}, "Deployment2": {"start_number": int64(100)}, "Stranger": {"ignored": int64(1)},
}

func TestBuild(t *testing.T) {
	b := composed(t, settings{kwargs: composedArguments, env: classEnv{"*": {"ALL": "1"}, "Deployment1": {"_KEY": "secret"}}, maxOngoing: 10})
	app, err := b.build()
	if err != nil {
		t.Fatal(err)
	}
	if app.ID != "app" || app.Slurm == nil || app.Slurm.Partition != "gpu" || len(app.Deployments) != 3 || len(app.Files) != 3 {
		t.Fatalf("%+v", app)
	}
	handles := []link.HandleRef{{Parameter: "deployment1", Deployment: "Deployment1"}, {Parameter: "deployment2", Deployment: "Deployment2"}}
	if d := app.Deployments[0]; !slices.Equal(d.Handles, handles) || d.Env["CUSTOM"] != "1" || d.Env["ALL"] != "1" || d.Env["HOME"] != "/apps/app" {
		t.Errorf("entry: %+v", d)
	}
	if d := app.Deployments[1]; d.Handles != nil || d.Secrets["KEY"] != "secret" || d.Env["CUSTOM"] != "" {
		t.Errorf("sub-deployment: %+v", d)
	}
	if kwargs, err := unpackMap(app.Deployments[2].Kwargs); err != nil || !reflect.DeepEqual(kwargs, map[string]any{"start_number": int64(100)}) {
		t.Errorf("arguments: %v, %v", kwargs, err)
	}
	if kwargs, err := unpackMap(app.Deployments[1].Kwargs); err != nil || len(kwargs) != 0 {
		t.Errorf("a class without arguments gets %v, %v", kwargs, err)
	}
	var h struct {
		ClientID      string `json:"client_id"`
		ManagerID     string `json:"manager_id"`
		PublicBaseURL string `json:"public_base_url"`
		Service       struct{ ID, Name, Type string }
	}
	if err := json.Unmarshal(app.Hypha, &h); err != nil || h.ClientID != "w-12345678" || h.ManagerID != "m" || h.Service.ID != "app" || h.Service.Type != "bioengine-apps" {
		t.Errorf("%s, %v", app.Hypha, err)
	}
}

func TestRecord(t *testing.T) {
	b := composed(t, settings{kwargs: composedArguments, maxOngoing: 10})
	r := must(b.record())
	if r.Resources != (resources{CPUs: 4, GPUs: 0.5, MemoryBytes: 1 << 30}) {
		t.Errorf("resources: %+v", r.Resources)
	}
	if r.Access.Users != nil || !slices.Equal(r.Access.Methods["*"], []string{"alice"}) || !slices.Equal(r.Methods, []string{"calculate"}) {
		t.Errorf("%+v", r)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "torch, scikit-learn must be in the image (main.py:") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	b.settings.disableGPU = true
	if r := must(b.record()); r.Resources.GPUs != 0 {
		t.Errorf("%g GPUs in spite of disable_gpu", r.Resources.GPUs)
	}
}

func TestBuildRefused(t *testing.T) {
	for text, kwargs := range map[string]map[string]map[string]any{
		"ValueError: Missing required parameter 'demo_input' of type str.":          nil,
		"ValueError: Unexpected parameter 'wrong' provided. Expected one of ":       {"Main": {"demo_input": "x", "wrong": true}, "Deployment2": composedArguments["Deployment2"]},
		"ValueError: Parameter 'n' must be of type int, but got str.":               {"Main": {"demo_input": "x", "n": "1"}},
		"ValueError: Missing required parameter 'start_number' of type int.":        {"Main": {"demo_input": "x"}},
		"ValueError: Parameter 'start_number' must be of type int, but got float.":  {"Main": {"demo_input": "x"}, "Deployment2": {"start_number": 1.5}},
		"ValueError: Parameter 'deployment1' must be of type DeploymentHandle, but": {"Main": {"demo_input": "x", "deployment1": "mine"}, "Deployment2": composedArguments["Deployment2"]},
	} {
		_, err := composed(t, settings{kwargs: kwargs}).build()
		if err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
