package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// describe reads one class Main without a child process.
func describe(text string) (Deployment, error) {
	reply := describeFile(childRequest{File: "main.py", Classes: []string{"Main"}, MaxBytes: 1 << 20}, []byte(text))
	return reply.Deployments["Main"], reply.Problems.err()
}

// decorated is a file whose decorator has the arguments; they begin at line 4.
func decorated(arguments string) string {
	return pythonHead + "@serve.deployment(" + arguments + ")\nclass Main:\n    @schema_method\n    def f(self): pass\n"
}

func TestOptions_wrong_values_are_refused_with_their_place(t *testing.T) {
	actor := func(options string) string { return "ray_actor_options={\n" + options + "}" }
	env := func(options string) string { return actor(`"runtime_env": {` + options + "}") }
	const amount = "must be a number of 0 or more, but is "
	const pip = "Option 'pip' must be a list of requirement strings"
	cases := []struct{ name, arguments, message, place string }{
		{"cpus_negative", actor(`"num_cpus": -1`), "Option 'num_cpus' " + amount + "-1.", "main.py:5"},
		{"cpus_bool", actor(`"num_cpus": True`), "Option 'num_cpus' " + amount + "True.", "main.py:5"},
		{"cpus_text", actor(`"num_cpus": "2"`), "Option 'num_cpus' " + amount + "'2'.", "main.py:5"},
		{"gpus_nan", actor(`"num_gpus": float("nan")`), "Option 'num_gpus' " + amount + "nan.", "main.py:5"},
		{"gpus_list", actor(`"num_gpus": [1]`), "Option 'num_gpus' " + amount + "a list.", "main.py:5"},
		{"memory_text", actor(`"memory": "8G"`), "Option 'memory' " + amount + "'8G'.", "main.py:5"},
		{"memory_infinite", actor(`"memory": 1e400`), "Option 'memory' " + amount + "inf.", "main.py:5"},
		{"accelerator", actor(`"accelerator_type": 3`), "Option 'accelerator_type' must be a string, but is 3.", "main.py:5"},
		{"resources", actor(`"resources": {"a": "x"}`), "Option 'resources' must be a dictionary of numbers of 0 or more, 'a' too", "main.py:5"},
		{"resources_list", actor(`"resources": ["a"]`), "Option 'resources' must be a dictionary of numbers, but is a list.", "main.py:5"},
		{"actor_list", "ray_actor_options=[1]", "Option 'ray_actor_options' must be a dictionary, but is a list.", "main.py:4"},
		{"runtime_env", actor(`"runtime_env": "x"`), "Option 'runtime_env' must be a dictionary, but is 'x'.", "main.py:5"},
		{"pip_text", env(`"pip": "requirements.txt"`), pip + ", but is 'requirements.txt'.", "main.py:5"},
		{"pip_number", env(`"pip": ["a", 3]`), pip, "main.py:5"},
		{"pip_newline", env(`"pip": ["a\n--index-url x"]`), pip + ", each on one line", "main.py:5"},
		{"env_number", env(`"env_vars": {"A": 1}`), "Environment variable 'A' must be a string, got int.", "main.py:5"},
		{"env_equals", env(`"env_vars": {"A=B": "1"}`), "without '=' in a name", "main.py:5"},
		{"env_list", env(`"env_vars": []`), "Option 'env_vars' must be a dictionary of strings, but is a list.", "main.py:5"},
		{"ongoing_zero", "max_ongoing_requests=0", "Option 'max_ongoing_requests' must be a whole number of 1 or more, but is 0.", "main.py:4"},
		{"ongoing_float", "max_ongoing_requests=10.0", "but is 10.0.", "main.py:4"},
		{"queued", "max_queued_requests=0", "Option 'max_queued_requests' must be a whole number of 1 or more, or -1 for no limit, but is 0.", "main.py:4"},
		{"replicas_zero", "num_replicas=0", "Option 'num_replicas' must be a whole number of 1 or more, or \"auto\", but is 0.", "main.py:4"},
		{"replicas_text", "num_replicas=\"many\"", "Option 'num_replicas'", "main.py:4"},
		{"replicas_and_autoscaling", "num_replicas=2,\n autoscaling_config={'min_replicas': 1}", "Manually setting num_replicas is not allowed when autoscaling_config is provided.", "main.py:4"},
		{"autoscaling_order", "autoscaling_config={'min_replicas': 3, 'max_replicas': 2}", "Option 'autoscaling_config' has min_replicas 3 above max_replicas 2.", "main.py:4"},
		{"autoscaling_text", "autoscaling_config={'min_replicas': '3'}", "Option 'autoscaling_config' must be a dictionary whose numbers of replicas are whole", "main.py:4"},
		{"autoscaling_list", "autoscaling_config=[1]", "Option 'autoscaling_config' must be a dictionary, but is a list.", "main.py:4"},
		{"period", "health_check_period_s=-1", "Option 'health_check_period_s' must be a number of seconds of 0 or more, but is -1.", "main.py:4"},
		{"period_text", "health_check_period_s='10'", "Option 'health_check_period_s'", "main.py:4"},
		{"period_endless", "graceful_shutdown_timeout_s=1e300", "Option 'graceful_shutdown_timeout_s'", "main.py:4"},
		{"log_level", "logging_config={'log_level': 1.5}", "Option 'log_level' must be the name of a log level, but is 1.5.", "main.py:4"},
		{"name", "name=3", "Option 'name' must be a string, but is 3.", "main.py:4"},
		{"user_config_keys", "user_config={1: 2}", "Option 'user_config' must be a value whose dictionaries have string keys, but is a dict.", "main.py:4"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := describe(decorated(c.arguments))
			wantProblem(t, err, c.message, c.place)
		})
	}
}

func TestOptions_all_problems_of_a_file_are_reported(t *testing.T) {
	_, err := describe(decorated(`ray_actor_options={"num_cpus": -1, "memory": "x"}, num_replicas=0`))
	problems, ok := err.(Errors)
	if !ok || len(problems) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestOptions_none_means_absent(t *testing.T) {
	d, err := describe(decorated(`ray_actor_options={"num_cpus": None, "runtime_env": None, "placement": None}, num_replicas=None, autoscaling_config=None, user_config=None, logging_config=None`))
	if err != nil || !reflect.DeepEqual(d.Options, Options{}) {
		t.Errorf("got %+v, %v", d.Options, err)
	}
}

func TestOptions_readings(t *testing.T) {
	cases := []struct {
		name, arguments string
		got             func(Options) any
		want            any
	}{
		{"auto", `num_replicas="auto"`, func(o Options) any { return fmt.Sprint(o.NumReplicasAuto, o.NumReplicas.State) }, "true"},
		{"auto_with_config", `num_replicas="auto", autoscaling_config={"max_replicas": 3}`, func(o Options) any { return o.Autoscaling.Value["max_replicas"] }, int64(3)},
		{"queue_unlimited", "max_queued_requests=-1", func(o Options) any { return o.MaxQueuedRequests.Or(0) }, -1},
		{"seconds", "health_check_timeout_s=0.25", func(o Options) any { return o.HealthCheckTimeout.Value }, 250 * time.Millisecond},
		{"wait_loop", "graceful_shutdown_wait_loop_s=2", func(o Options) any { return o.GracefulShutdownWaitLoop.Value }, 2 * time.Second},
		{"log_level_number", "logging_config={'log_level': 10}", func(o Options) any { return o.LogLevel.Value }, "10"},
		{"log_level_record", "logging_config=LoggingConfig(log_level='warning')", func(o Options) any { return o.LogLevel.Value }, "WARNING"},
		{"pip_packages", `ray_actor_options={"runtime_env": {"pip": {"packages": ["a"]}}}`, func(o Options) any { return fmt.Sprint(o.Pip.Value) }, "[a]"},
		{"unsupported", `request_router_config=x, ray_actor_options={"object_store_memory": 1, "runtime_env": {"conda": "env.yaml", "config": {}}}`,
			func(o Options) any { return strings.Join(o.Unsupported, " ") },
			"ray_actor_options.runtime_env.conda request_router_config ray_actor_options.object_store_memory"},
		{"warning", "placement_group_bundles=[{}]", func(o Options) any { return o.Warnings[0] }, "main.py:4: placement_group_bundles has no meaning here and is ignored"},
		{"runtime", "num_replicas=count()", func(o Options) any {
			return fmt.Sprint(o.NumReplicas.State, " at ", o.NumReplicas.Place, " because ", o.NumReplicas.Why)
		}, "runtime at main.py:4 because `count()` is called when the file runs (main.py:4)"},
		{"runtime_member", "user_config={'a': [count()]}", func(o Options) any { return o.UserConfig.State }, Runtime},
		{"infinite_member", "user_config={'a': 1e999}", func(o Options) any { return o.UserConfig.Why }, "it holds a number that is not finite"},
		{"runtime_actor", "ray_actor_options=options()", func(o Options) any { return fmt.Sprint(o.NumCPUs.State, o.Pip.State, o.MaxOngoingRequests.State) }, "runtimeruntime"},
		{"unknown_splat", "**options(), num_replicas=2", func(o Options) any { return fmt.Sprint(o.NumReplicas.Value, o.NumGPUs.State, o.LogLevel.State) }, "2runtimeruntime"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(decorated(c.arguments), "from ray import serve\n", "from ray import serve; from ray.serve.schema import LoggingConfig\n", 1)
			d, err := describe(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.got(d.Options); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestOptions_recognise_every_way_to_write_the_decorator(t *testing.T) {
	class := "(ray_actor_options={'num_cpus': 3})\nclass Main:\n    @schema_method\n    def f(self): pass\n"
	cases := map[string]string{
		"guide":            "from ray import serve\n@serve.deployment" + class,
		"alias":            "from ray import serve as s\n@s.deployment" + class,
		"function":         "from ray.serve import deployment\n@deployment" + class,
		"function_alias":   "from ray.serve import deployment as d\n@d" + class,
		"package":          "import ray\n@ray.serve.deployment" + class,
		"package_and_part": "import ray\nimport ray.serve\n@ray.serve.deployment" + class,
		"module_alias":     "import ray.serve as rs\n@rs.deployment" + class,
		"star":             "from ray.serve import *\n@deployment" + class,
		"assigned":         "from ray import serve\ndeploy = serve.deployment\n@deploy" + class,
		"fallback":         "try:\n    from ray import serve\nexcept ImportError:\n    serve = None\n@serve.deployment" + class,
		"inside_if":        "from ray import serve\nif True:\n    @serve.deployment" + strings.ReplaceAll(class, "\n", "\n    "),
		"ingress":          "from ray import serve\n@serve.deployment(ray_actor_options={'num_cpus': 3})\n@serve.ingress(app)\nclass Main: pass\n",
		"called":           "from ray import serve\nclass A: pass\nMain = serve.deployment(ray_actor_options={'num_cpus': 3})(A)\n",
		"called_short":     "from ray import serve\nclass A: pass\nMain = serve.deployment(A, ray_actor_options={'num_cpus': 3})\n",
		"rebound":          "from ray import serve\nclass Main: pass\nMain = serve.deployment(ray_actor_options={'num_cpus': 3})(Main)\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := describe("from hypha_rpc.utils.schema import schema_method\n" + text)
			if err != nil {
				t.Fatal(err)
			}
			if cpus, ok := d.Options.NumCPUs.Get(); !ok || cpus != 3 {
				t.Errorf("num_cpus is %+v", d.Options.NumCPUs)
			}
		})
	}
}

func TestDescribe_classes_that_cannot_be_deployments(t *testing.T) {
	cases := []struct{ name, text, message, place string }{
		{"missing", "class Other: pass\n", "Main not found in main.py", "main.py"},
		{"only_in_main_block", "if __name__ == '__main__':\n    class Main: pass\n", "Main not found in main.py", "main.py"},
		{"only_inside_a_function", "def f():\n    class Main: pass\n", "Main not found in main.py", "main.py"},
		{"plain", "x = 1\nclass Main: pass\n", "Main is not a Ray Serve deployment.", "main.py:2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := describe(c.text)
			wantProblem(t, err, c.message, c.place)
		})
	}
}

func TestDescribe_unknown_makers_get_the_benefit_of_the_doubt(t *testing.T) {
	cases := map[string]string{
		"imported":   "from other import Main\n",
		"star":       "from other import *\n",
		"decorator":  "@something\nclass Main: pass\n",
		"factory":    "Main = make()\n",
		"loop":       "for Main in classes: pass\n",
		"globals":    "class Main: pass\nglobals()['Main'] = serve.deployment(Main)\n",
		"executed":   "exec(text)\n",
		"star_later": "class Main: pass\nfrom other import *\n",
		"twice":      "if x:\n    class Main: pass\nelse:\n    class Main: pass\n",
		"options":    "@serve.deployment\nclass A: pass\nMain = A.options(num_replicas=2)\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := describe(pythonHead + text)
			if err != nil {
				t.Fatal(err)
			}
			if d.Options.NumCPUs.State != Runtime || d.Options.NumCPUs.Why == "" || d.InitKnown || d.MethodsKnown {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestValue_survives_JSON(t *testing.T) {
	d, err := describe(decorated(`user_config={"a": 2, "b": 2.0, "c": [None, True, "x", 1e30, 9007199254740993], "d": {}},
		ray_actor_options={"num_cpus": 2, "resources": {"x": 1}, "runtime_env": {"pip": [], "env_vars": {}}}, num_replicas=n,
		autoscaling_config={"max_replicas": 3, "upscale_delay_s": 3.0}, health_check_period_s=1.5`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(d.Options)
	if err != nil {
		t.Fatal(err)
	}
	var back Options
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, d.Options) {
		t.Errorf("got  %+v\nwant %+v", back, d.Options)
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(decorated(`ray_actor_options={"num_cpus": 2 * 3, **{}}, user_config=[1, (2.5,), {3}]`))
	f.Add("Main = serve.deployment(x)(y)\nclass Main(A, metaclass=B):\n    def __init__(self, a, /, *b: 'c', d=1, **e): pass\n")
	f.Add("from x import *\nif __name__ == '__main__':\n  A = 1\nmatch x:\n  case [a, *b]: pass\n")
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		reply := describeFile(childRequest{File: "main.py", Classes: []string{"Main"}, MaxBytes: 64 << 10}, []byte(text))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		for _, problem := range reply.Problems {
			if strings.ContainsAny(problem.Error(), "\n\r") {
				t.Errorf("more than one line: %q", problem.Error())
			}
		}
		if _, err := json.Marshal(reply); err != nil {
			t.Errorf("the answer cannot be written: %v", err)
		}
	})
}
