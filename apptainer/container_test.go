//go:build systems

package apptainer_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/apptainer"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// report prints what a program in the container sees, as JSON.
const report = `
import json, os, sys
def writable(p):
    try:
        open(p, "w").close(); os.remove(p); return True
    except OSError: return False
f = os.statvfs("/tmp")
print(json.dumps({"env": dict(os.environ), "args": sys.argv[1:], "cwd": os.getcwd(), "processes": sorted(p for p in os.listdir("/proc") if p.isdigit()),
  "root": writable("/x"), "etc": writable("/etc/x"), "tmp": writable("/tmp/x"), "tmp_mib": f.f_blocks * f.f_frsize >> 20,
  "home": os.path.exists("/home/alice/canary"), "scratch": os.path.exists("/scratch"), "ro": writable("/bound/ro/x"), "rw": writable("/bound/rw/x"),
  "file": open("/bound/ro/file").read(), "uid": os.getuid()}))
`

type seen struct {
	Env                           map[string]string
	Args, Processes               []string
	Cwd, File                     string
	Root, Etc, Tmp, Home, Scratch bool
	RO, RW                        bool
	UID                           int
	TmpMiB                        int `json:"tmp_mib"`
}

// odd values are what shells, commas and formats on the way would change.
var odd = map[string]string{
	"HOMELY": "$HOME", "TICKS": "`id`", "CALL": "$(id)", "WORDS": "two words", "COMMAS": "a,B=c", "LINES": "one\ntwo\n",
	"QUOTES": `'single' "double"`, "SLASH": `back\slash\n`, "EMPTY": "", "UTF8": "ä☃", "STARS": "* ~ ! #",
}

// look runs report once with all that a Run offers.
func look(t *testing.T, change func(*site, *apptainer.Run)) seen {
	s := newSite(t)
	s.mkdir("ro")
	s.write("ro/file", "bound")
	s.write("../canary", "")
	run := s.python(report, slices.Sorted(maps.Values(odd))...)
	run.Env = odd
	run.Binds = []apptainer.Bind{{Source: s.there + "/ro", Target: "/bound/ro", ReadOnly: true}, {Source: s.mkdir("rw $x"), Target: "/bound/rw"}}
	if change != nil {
		change(s, run)
	}
	var got seen
	if out := s.completed(run); json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("the program printed %q", out)
	}
	return got
}

func TestValuesArriveLiterally(t *testing.T) {
	got := look(t, nil)
	for name, want := range odd {
		if value, there := got.Env[name]; value != want || !there {
			t.Errorf("%s: %q became %q", name, want, value)
		}
	}
	if want := slices.Sorted(maps.Values(odd)); !slices.Equal(got.Args, want) {
		t.Errorf("the arguments %q became %q", want, got.Args)
	}
}

func TestTheContainerSeesNothingOfTheHostButItsBinds(t *testing.T) {
	t.Setenv("HYPHA_TOKEN", canary)
	got := look(t, nil)
	for name, value := range got.Env {
		if strings.Contains(value, canary) {
			t.Errorf("%s holds the controller's variable", name)
		}
		_, ours := odd[name]
		expected := []string{"HOME", "PATH", "PWD", "LANG", "TERM", "LD_LIBRARY_PATH", "PS1", "PROMPT_COMMAND", "SHLVL",
			"SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_CPUS_PER_TASK", "LC_CTYPE"}
		if !ours && !slices.Contains(expected, name) && !strings.HasPrefix(name, "APPTAINER_") && !strings.HasPrefix(name, "SINGULARITY_") {
			t.Errorf("the host's %s=%q is seen", name, value)
		}
	}
	if got.Env["SLURM_JOB_ID"] == "" {
		t.Error("the job's id is not handed on")
	}
	if got.Home || got.Scratch {
		t.Error("the user's home or the shared scratch is seen")
	}
	if len(got.Processes) > 3 { // apptainer's own, the program
		t.Errorf("other processes are seen: %v", got.Processes)
	}
	if got.UID != alice || got.Cwd != "/" {
		t.Errorf("uid %d in %s", got.UID, got.Cwd)
	}
}

func TestOnlyWritableBindsAndTmpCanBeWritten(t *testing.T) {
	got := look(t, nil)
	if got.Root || got.Etc || got.RO || !got.RW || !got.Tmp || got.File != "bound" {
		t.Errorf("writable: / %v, /etc %v, read-only bind %v, bind %v, /tmp %v; the bound file holds %q",
			got.Root, got.Etc, got.RO, got.RW, got.Tmp, got.File)
	}
	if got.TmpMiB > 1024 {
		t.Errorf("without a scratch folder /tmp has %d MiB: it is not the container's own", got.TmpMiB)
	}
	got = look(t, func(s *site, run *apptainer.Run) { run.WorkDir, run.Pwd = s.mkdir("scratch"), "/bound/rw" })
	if got.TmpMiB < 1024 || !got.Tmp || got.Cwd != "/bound/rw" {
		t.Errorf("with a scratch folder /tmp has %d MiB, writable %v; the working directory is %s", got.TmpMiB, got.Tmp, got.Cwd)
	}
}

func TestAGrantedGPUIsNamedInside(t *testing.T) {
	if got := look(t, func(_ *site, run *apptainer.Run) { run.GPUs = true }); got.Env["CUDA_VISIBLE_DEVICES"] == "" {
		t.Error("the program is not told its GPU")
	}
	if got, there := look(t, nil).Env["CUDA_VISIBLE_DEVICES"]; there {
		t.Errorf("without GPUs CUDA_VISIBLE_DEVICES is %q", got)
	}
}

func TestFailuresAreToldByStatusAndText(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*testing.T, *apptainer.Run)
		code  int
		text  string
	}{
		"exit status":  {func(_ *testing.T, r *apptainer.Run) { r.Command = []string{"sh", "-c", "echo so; exit 7"} }, 7, "so"},
		"killed":       {func(_ *testing.T, r *apptainer.Run) { r.Command = []string{"sh", "-c", "echo so; kill -9 $$"} }, 137, "so"},
		"no command":   {func(_ *testing.T, r *apptainer.Run) { r.Command = []string{"/nope"} }, 255, "nope"},
		"no bind":      {func(_ *testing.T, r *apptainer.Run) { r.Binds = []apptainer.Bind{{Source: "/nope", Target: "/x"}} }, 255, "/nope"},
		"no image":     {func(t *testing.T, r *apptainer.Run) { r.Image = parse(t, "/scratch/img/nope.sif") }, 255, "nope.sif"},
		"no apptainer": {func(_ *testing.T, r *apptainer.Run) { r.Apptainer = "/opt/nope/apptainer" }, 127, "/opt/nope/apptainer"},
		"broken image": {func(t *testing.T, r *apptainer.Run) { r.Image = parse(t, "/etc/hosts") }, 255, "/etc/hosts"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			run := s.python("")
			c.spoil(t, run)
			out, job := s.finished(run)
			if job.State != scheduler.Failed || job.ExitCode != c.code || !strings.Contains(out, c.text) {
				t.Errorf("the job is %+v and printed:\n%s", job, out)
			}
		})
	}
}

func parse(t *testing.T, ref string) apptainer.Image {
	t.Helper()
	i, err := apptainer.ParseImage(ref)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// shutdown is a program that, told to end, still needs its image a moment later:
// for modules it has not read yet, and for another program.
const shutdown = `
import signal, sys, time
def end(*_):
    print("got TERM"); time.sleep(1)
    import subprocess, wsgiref.simple_server, xml.dom.minidom
    subprocess.run(["/usr/bin/env", "true"], check=True)
    print("shut down cleanly"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready")
while True: time.sleep(0.1)
`

func TestTerminateLeavesTheImageMountedUntilTheProgramHasEnded(t *testing.T) {
	s := newSite(t)
	id := s.submit(s.python(shutdown))
	s.until("the program", func() bool { return strings.Contains(s.output(), "ready") })
	if err := s.slurm.Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if job := s.ended(id); job.State != scheduler.Completed || !strings.Contains(s.output(), "shut down cleanly") {
		t.Errorf("the job is %+v and printed:\n%s", job, s.output())
	}
}

// TestCancelTakesTheImageAway is why Terminate exists: Slurm's plain cancel also
// ends the process that serves the image. Should this ever fail, the reason is gone.
func TestCancelTakesTheImageAway(t *testing.T) {
	s := newSite(t)
	id := s.submit(s.python(shutdown))
	s.until("the program", func() bool { return strings.Contains(s.output(), "ready") })
	told := time.Now()
	if err := s.slurm.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	job := s.ended(id)
	if job.State != scheduler.Cancelled || strings.Contains(s.output(), "shut down cleanly") {
		t.Errorf("the job is %+v and printed:\n%s", job, s.output())
	}
	t.Logf("cancelled in %s; it printed:\n%s", time.Since(told).Round(time.Millisecond), s.output())
}
