//go:build systems

package apptainer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/apptainer"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/sbatch"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

var systems bed.Shared

func TestMain(m *testing.M) { os.Exit(systems.Main(m)) }

const (
	alice   = 1000 // the cluster's uid
	program = "/usr/bin/apptainer"
	canary  = "canary-51c07be2"
)

// site is one test's folder in alice's home, and the real Slurm it submits to.
type site struct {
	*testing.T
	cluster     *bed.Cluster
	slurm       *sbatch.Slurm
	here, there string // the folder as the test and as alice sees it
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := systems.Cluster(t)
	slurm, err := sbatch.New(t.Context(), sbatch.Config{BinDir: c.Wrappers("alice"),
		CheckFolders: func(scheduler.Spec) error { return nil }}) // they are on the login host, and made here
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ToLower(rand.Text())
	s := &site{T: t, cluster: c, slurm: slurm, here: filepath.Join(c.Home("alice"), name), there: "/home/alice/" + name}
	s.mkdir("")
	return s
}

// mkdir makes a folder of alice's and returns its path on the cluster.
func (s *site) mkdir(name string) string {
	s.Helper()
	dir := filepath.Join(s.here, name)
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, alice, alice)); err != nil {
		s.Fatal(err)
	}
	return filepath.Join(s.there, name)
}

// write makes a file of alice's and returns its path on the cluster.
func (s *site) write(name, text string) string {
	s.Helper()
	file := filepath.Join(s.here, name)
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o644), os.Chown(file, alice, alice)); err != nil {
		s.Fatal(err)
	}
	return filepath.Join(s.there, name)
}

// python is a run of the application image's Python with a program text.
func (s *site) python(text string, args ...string) *apptainer.Run {
	s.Helper()
	image, err := apptainer.ParseImage(s.cluster.Image())
	if err != nil {
		s.Fatal(err)
	}
	return &apptainer.Run{Apptainer: program, Image: image, Command: append([]string{"python3", "-u", "-c", text}, args...)}
}

// submit makes a job of the run, exactly as the controller does.
func (s *site) submit(run *apptainer.Run) (id string) {
	s.Helper()
	script, err := apptainer.JobScript(apptainer.ScriptParams{Home: "/home/alice", Run: run})
	if err != nil {
		s.Fatal(err)
	}
	spec := scheduler.Spec{Name: s.Name(), Comment: s.there, Script: script, WorkDir: s.there, Output: s.there + "/out", CPUs: 1, MemoryMiB: 256}
	if run.GPUs {
		spec.GPUs = 1
	}
	id, err = s.slurm.Submit(s.Context(), spec)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = s.slurm.Cancel(context.WithoutCancel(s.Context()), id) })
	return id
}

// ended waits for the job's end.
func (s *site) ended(id string) scheduler.Job {
	s.Helper()
	var last scheduler.Job
	s.until("the end of the job", func() bool {
		jobs, err := s.slurm.Jobs(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		for _, j := range jobs {
			if j.ID == id && j.Comment == s.there {
				last = j
			}
		}
		return last.State.Ended()
	})
	return last
}

// finished runs the job to its end and returns what it printed.
func (s *site) finished(run *apptainer.Run) (string, scheduler.Job) {
	s.Helper()
	job := s.ended(s.submit(run))
	return s.output(), job
}

// completed is finished for a job that must end well.
func (s *site) completed(run *apptainer.Run) string {
	s.Helper()
	out, job := s.finished(run)
	if job.State != scheduler.Completed {
		s.Fatalf("the job is %+v and printed:\n%s", job, out)
	}
	return out
}

func (s *site) output() string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.here, "out"))
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return string(text)
}

func (s *site) until(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("waited in vain for %s; output:\n%s", what, s.output())
		}
	}
}
