package sbatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// The faults a healthy Slurm cannot be made to show are played by this test binary,
// linked under the names of Slurm's commands. Everything else is tested on a real
// cluster.

func TestMain(m *testing.M) {
	if base := filepath.Base(os.Args[0]); base == "sbatch" || base == "squeue" || base == "scancel" || base == "sinfo" {
		syscall.Exit(play(filepath.Dir(os.Args[0]), base)) // os.Exit takes a second under the race detector
	}
	os.Exit(m.Run())
}

// play does what the file <name>.fault beside the program says.
func play(dir, name string) int {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("slurm 24.11.5")
		return 0
	}
	fault, err := os.ReadFile(filepath.Join(dir, name+".fault"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	kind, text, _ := strings.Cut(string(fault), " ")
	switch kind {
	case "hang":
		time.Sleep(time.Minute)
	case "print":
		fmt.Println(text)
	case "fail":
		fmt.Fprintln(os.Stderr, text)
		return 1
	case "flood":
		for line := strings.Repeat("x", 1<<20); ; {
			if _, err := fmt.Print(line); err != nil {
				return 0
			}
		}
	case "environment":
		err = os.WriteFile(filepath.Join(dir, "seen"), []byte(strings.Join(os.Environ(), "\n")), 0o600)
		fmt.Println("7")
	}
	if err != nil {
		return 98
	}
	return 0
}

// broken is a Slurm whose one command has the fault.
func broken(t *testing.T, program, fault string) *Slurm {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if err := os.Symlink(self, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, program+".fault"), []byte(fault), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Config{BinDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if fault == "hang" {
		s.config.Timeout = time.Second
	}
	return s
}

func spec(t *testing.T) scheduler.Spec {
	dir := t.TempDir()
	return scheduler.Spec{Name: "n", Comment: "c", Script: "#!/bin/bash\n", WorkDir: dir, Output: dir + "/out", CPUs: 1}
}

func TestSubmissionsWithoutAnIDAreClassified(t *testing.T) {
	t.Parallel()
	const failed = "fail sbatch: error: Batch job submission failed: "
	for fault, want := range map[string]struct {
		kind scheduler.Kind
		text string
	}{
		"hang":                      {scheduler.Unclear, "sbatch gave no answer within 1s"},
		"flood":                     {scheduler.Unclear, "printed more than"},
		"print":                     {scheduler.Unclear, "printed no job id"},
		"print Submitted batch job": {scheduler.Unclear, "printed no job id"},
		"fail ":                     {scheduler.Unclear, "without a word"},
		failed + "Socket timed out on send/recv operation":                                                                    {scheduler.Unclear, "Socket timed out"},
		failed + "Zero Bytes were transmitted or received":                                                                    {scheduler.Unclear, "Zero Bytes"},
		failed + "Unable to contact slurm controller (connect failure)":                                                       {scheduler.Unreachable, "no answer: Unable to contact"},
		"fail sbatch: error: If munged is up, restart with --num-threads=10\n" + failed[5:] + "Protocol authentication error": {scheduler.Unreachable, "munged"},
		failed + "Invalid account or account/partition combination specified":                                                 {scheduler.Refused, "submit job n: Invalid account"},
		failed + "Something no version has said before":                                                                       {scheduler.Refused, "Something no version"},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			id, err := broken(t, "sbatch", fault).Submit(t.Context(), spec(t))
			if !scheduler.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) || id != "" {
				t.Errorf("%.60q: job %q, error %v; want %s with %q", fault, id, err, want.kind, want.text)
			}
		})
	}
}

func TestKnownRefusalsCarryAHint(t *testing.T) {
	t.Parallel()
	_, err := broken(t, "sbatch", "fail sbatch: error: Batch job submission failed: Invalid qos specification").Submit(t.Context(), spec(t))
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Text != "Invalid qos specification" || !strings.Contains(e.Hint, "sacctmgr") {
		t.Errorf("the error is %#v", e)
	}
}

func TestIDsAreReadFromWhatSitesPrint(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{"12": "12", "12;cluster": "12", "Welcome!\nYour quota is low.\n\n12": "12"} {
		if id, err := broken(t, "sbatch", "print "+printed).Submit(t.Context(), spec(t)); id != want || err != nil {
			t.Errorf("%q: job %q, error %v", printed, id, err)
		}
	}
}

func TestQuestionsWithoutAnAnswerAreUnreachable(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"hang":         "gave no answer",
		"flood":        "printed more than",
		"print <html>": "something else than jobs",
		"fail squeue: error: Unable to contact slurm controller (connect failure)": "Unable to contact",
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s := broken(t, "squeue", fault)
			jobs, err := s.Jobs(t.Context())
			if !scheduler.Is(err, scheduler.Unreachable) || !strings.Contains(err.Error(), want) || jobs != nil {
				t.Errorf("squeue %.40q: jobs %v, error %v; want %q", fault, jobs, err, want)
			}
			if err := s.Terminate(t.Context(), "7"); fault != "print <html>" && !scheduler.Is(err, scheduler.Unreachable) {
				t.Errorf("terminate with squeue %.40q: %v", fault, err)
			}
		})
	}
	if err := broken(t, "scancel", "hang").Cancel(t.Context(), "7"); !scheduler.Is(err, scheduler.Unreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("scancel hangs: %v", err)
	}
	if _, err := broken(t, "sinfo", "fail sinfo: error: slurm_load_partitions: Zero Bytes were transmitted or received").Partitions(t.Context()); !scheduler.Is(err, scheduler.Unreachable) {
		t.Errorf("sinfo fails: %v", err)
	}
}

func TestScancelsRefusalsAreTold(t *testing.T) {
	t.Parallel()
	err := broken(t, "scancel", "fail scancel: error: Kill job error on job id 7: Access/permission denied").Cancel(t.Context(), "7")
	if !scheduler.Is(err, scheduler.Refused) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("somebody else's job: %v", err)
	}
	for _, harmless := range []string{"Invalid job id specified", "Job/step already completing or completed"} {
		if err := broken(t, "scancel", "fail scancel: error: Kill job error on job id 7: "+harmless).Cancel(t.Context(), "7"); err != nil {
			t.Errorf("%s: %v", harmless, err)
		}
	}
}

func TestNothingButNumbersReachesACommandLine(t *testing.T) {
	t.Parallel()
	s := broken(t, "scancel", "fail it was run")
	for _, id := range []string{"", "--user=alice", "7 8", "7_1", "local-7", "7;x"} {
		if err := errors.Join(s.Cancel(t.Context(), id), s.Terminate(t.Context(), id)); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestTheCommandsSeeAShortEnvironment(t *testing.T) {
	t.Setenv("HYPHA_TOKEN", "canary")
	t.Setenv("SBATCH_PARTITION", "canary")
	t.Setenv("SLURM_CONF", "/etc/other.conf")
	s := broken(t, "sbatch", "environment")
	if _, err := s.Submit(t.Context(), spec(t)); err != nil {
		t.Fatal(err)
	}
	seen, err := os.ReadFile(filepath.Join(s.config.BinDir, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(seen)) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "PATH", "LC_ALL", "HOME", "USER", "LOGNAME", "SLURM_CONF":
		default:
			t.Errorf("sbatch is given %s", line)
		}
	}
	if !strings.Contains(string(seen), "SLURM_CONF=/etc/other.conf") {
		t.Errorf("SLURM_CONF is not handed on:\n%s", seen)
	}
}

func TestAMachineWithoutSlurmIsTold(t *testing.T) {
	_, err := New(t.Context(), Config{BinDir: t.TempDir()})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Kind != scheduler.Unreachable || !strings.Contains(e.Hint, "login node") {
		t.Errorf("no commands: %v", err)
	}
}
