package schedtest

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

func outputAppended(r *run) {
	if err := os.WriteFile(r.here("out"), []byte("first\n"), 0o666); err != nil {
		r.Fatal(err)
	}
	if err := os.Chmod(r.here("out"), 0o666); err != nil {
		r.Fatal(err)
	}
	spec := r.spec("echo second", "echo third >&2")
	r.submit(spec)
	r.awaitEnd(spec.Comment)
	if out := r.read("out"); out != "first\nsecond\nthird\n" {
		r.Errorf("output: %q", out)
	}
}

func scriptUnchanged(r *run) {
	spec := r.spec(`# $HOME "two words" 'single' \ ! * ~ ä ☃ `+"`id`\t%j", `cat "$0"`, "# "+strings.Repeat("long ", 10_000))
	r.submit(spec)
	r.awaitEnd(spec.Comment)
	if out := r.read("out"); out != spec.Script {
		r.Errorf("the script of %d bytes became %d: %.200q", len(spec.Script), len(out), out)
	}
}

func environmentScrubbed(r *run) {
	spec := r.spec(`cat /proc/self/environ | tr '\0' '\n'`, "echo open: $(ls /proc/self/fd)")
	r.submit(spec)
	r.awaitEnd(spec.Comment)
	out := r.read("out")
	if !strings.Contains(out, "PWD="+r.there("")) {
		r.Fatalf("the job printed no environment: %q", out)
	}
	if strings.Contains(out, Secret) {
		r.Errorf("a variable of the parent reached the job:\n%s", out)
	}
	if !strings.Contains(out, "open: 0 1 2 3\n") { // 3 is the folder that ls reads
		r.Errorf("the job inherited open files:\n%s", out)
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "HOSTNAME", "USER", "LOGNAME", "LANG", "SHELL", "TERM":
			continue // shells and Slurm set these for every job
		}
		if strings.Contains("\n"+out, "\n"+v+"\n") {
			r.Errorf("the parent's %s reached the job", name)
		}
	}
}

// odd holds what is legal in names and comments and hard on quoting and formats.
const odd = `a "b" 'c' $HOME ${X} %j %% \n \ ; & <x> (y) [z] {w} * ? ! # ~ ^ = , : @ + ` + "`id`" + ` --x=y  two   spaces`

func commentRoundTrip(r *run) {
	spec := r.spec("true")
	spec.Name = odd[:len(odd)-1] + "!"
	spec.Comment = odd + " " + spec.Comment + " " + strings.Repeat("x", scheduler.MaxComment-len(odd)-len(spec.Comment)-2)
	r.submit(spec)
	job := r.awaitEnd(spec.Comment)
	if job.Name != spec.Name {
		r.Errorf("the name %q became %q", spec.Name, job.Name)
	}
}

func impossibleRefused(r *run) {
	for name, spoil := range map[string]func(*scheduler.Spec){
		"unknown partition":  func(s *scheduler.Spec) { s.Partition = "nope" },
		"too many CPUs":      func(s *scheduler.Spec) { s.CPUs = 5000 },
		"too much memory":    func(s *scheduler.Spec) { s.MemoryMiB = 1 << 40 },
		"too many GPUs":      func(s *scheduler.Spec) { s.GPUs = 99 },
		"no such folder":     func(s *scheduler.Spec) { s.WorkDir = r.there("missing") },
		"no folder for logs": func(s *scheduler.Spec) { s.Output = r.there("missing/out") },
		"not a script":       func(s *scheduler.Spec) { s.Script = "true" },
	} {
		spec := r.spec("true")
		spoil(&spec)
		id, err := r.Submit(r.Context(), spec)
		if !scheduler.Is(err, scheduler.Refused) {
			r.Errorf("%s: job %q, error %v; want a refusal", name, id, err)
		} else {
			r.Logf("%s: %v", name, err)
		}
		if job, there := r.job(spec.Comment); there && !job.State.Ended() {
			r.Errorf("%s: refused, and yet there is %+v", name, job)
		}
	}
}

func concurrentSubmissions(r *run) {
	const n = 8
	specs, ids := make([]scheduler.Spec, n), make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		specs[i] = r.spec(fmt.Sprintf("echo I am %d", i))
		specs[i].Output = r.there(fmt.Sprintf("out%d", i))
		wg.Go(func() {
			var err error
			if ids[i], err = r.Submit(r.Context(), specs[i]); err != nil {
				r.Errorf("submit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, spec := range specs {
		if job := r.awaitEnd(spec.Comment); job.ID != ids[i] || seen[job.ID] || job.State != scheduler.Completed {
			r.Errorf("job %d (%s) is %+v", i, ids[i], job)
		}
		seen[ids[i]] = true
		if out := r.read(fmt.Sprintf("out%d", i)); out != fmt.Sprintf("I am %d\n", i) {
			r.Errorf("output of job %d: %q", i, out)
		}
	}
}

func gpuAssigned(r *run) {
	spec := r.spec("echo GPU=$CUDA_VISIBLE_DEVICES.")
	spec.GPUs = 1
	r.submit(spec)
	r.awaitEnd(spec.Comment)
	if out := r.read("out"); out != "GPU=0.\n" && out != "GPU=1.\n" {
		r.Errorf("output of the job with a GPU: %q", out)
	}
}
