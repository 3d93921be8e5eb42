package apptainer

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func image(t *testing.T, ref string) Image {
	t.Helper()
	i, err := ParseImage(ref)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// odd is a value that every shell and parser on the way would like to touch.
const odd = "two words, $HOME `id` $(id) 'single' \"double\" \\ * ~ !\nsecond line=x"

func goldenRuns(t *testing.T) map[string]ScriptParams {
	agent := []string{"/bioengine/bin/bioengine-agent", "--allocation", "/bioengine/allocation", "--python", "python3"}
	full := &Run{
		Apptainer: "/usr/bin/apptainer", Image: image(t, "/images/cell pose.sif"), GPUs: true, WorkDir: "/scratch/a1", Pwd: "/home/alice/app",
		Binds: []Bind{
			{Source: "/opt/bioengine-agent", Target: agent[0], ReadOnly: true},
			{Source: "/home/alice/state/$x y", Target: "/bioengine/allocation"},
		},
		Env: map[string]string{"ODD": odd, "BIOENGINE_X": "1"}, Command: agent,
	}
	return map[string]ScriptParams{
		"full.sh":  {Home: "/home/alice", Run: full},
		"small.sh": {Home: "/home/alice", Path: "/opt/bin:/bin", Run: &Run{Apptainer: "/usr/bin/apptainer", Image: image(t, "/images/sandbox/"), Command: []string{"true"}}},
		"host.sh":  {Home: "/tmp/it's", Command: []string{"/opt/bin/bioengine-agent", "--allocation", "/tmp/it's/1", "--python", "/usr/bin/python3"}},
	}
}

func TestJobScriptsAreAsTheGoldenFiles(t *testing.T) {
	for name, params := range goldenRuns(t) {
		got, err := JobScript(params)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is now (-update writes it):\n%s", name, got)
		}
	}
}

func TestArgvAndEnvironmentAreSeparate(t *testing.T) {
	run := goldenRuns(t)["full.sh"].Run
	argv, env, err := run.Argv()
	if err != nil {
		t.Fatal(err)
	}
	if env["APPTAINERENV_ODD"] != odd || len(env) != 2 {
		t.Errorf("environment: %q", env)
	}
	if strings.Contains(strings.Join(argv, "\n"), "second line") {
		t.Errorf("a value stands on the command line: %q", argv)
	}
	run.GPUs = false
	if argv, _, _ = run.Argv(); strings.Contains(strings.Join(argv, " "), "--nv") {
		t.Errorf("the driver is bound without GPUs: %q", argv)
	}
}

func TestBadRunsAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Run){
		`apptainer program "apptainer" must be absolute`: func(r *Run) { r.Apptainer = "apptainer" },
		`is not run by Apptainer`:                        func(r *Run) { r.Image = image(t, "host:/usr/bin/python3") },
		`image "" is not run`:                            func(r *Run) { r.Image = Image{} },
		`bind "/a:b:/c"`:                                 func(r *Run) { r.Binds = []Bind{{Source: "/a:b", Target: "/c"}} },
		`bind "/a,b:/c:ro"`:                              func(r *Run) { r.Binds = []Bind{{Source: "/a,b", Target: "/c", ReadOnly: true}} },
		`bind "/a:/c,d"`:                                 func(r *Run) { r.Binds = []Bind{{Source: "/a", Target: "/c,d"}} },
		`bind "a:/c"`:                                    func(r *Run) { r.Binds = []Bind{{Source: "a", Target: "/c"}} },
		`bind "/a/../b:/c"`:                              func(r *Run) { r.Binds = []Bind{{Source: "/a/../b", Target: "/c"}} },
		`scratch folder "x"`:                             func(r *Run) { r.WorkDir = "x" },
		`working directory inside "x"`:                   func(r *Run) { r.Pwd = "x" },
		`variable "HOME"`:                                func(r *Run) { r.Env = map[string]string{"HOME": "/"} },
		`variable "A B"`:                                 func(r *Run) { r.Env = map[string]string{"A B": "/"} },
		`variable A holds a NUL`:                         func(r *Run) { r.Env = map[string]string{"A": "\x00"} },
		`no command`:                                     func(r *Run) { r.Command = nil },
		`command holds a NUL`:                            func(r *Run) { r.Command = []string{"a", "\x00"} },
	} {
		params := goldenRuns(t)["full.sh"]
		spoil(params.Run)
		script, err := JobScript(params)
		if err == nil || !strings.Contains(err.Error(), want) || script != "" {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for want, params := range map[string]ScriptParams{
		"either a container or a command": {Home: "/home/alice"},
		`the home "" must be absolute`:    {Command: []string{"/bin/true"}},
		"must be absolute":                {Home: "/home/alice", Command: []string{"true"}},
	} {
		if _, err := JobScript(params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
