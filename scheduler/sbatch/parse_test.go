package sbatch

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// line is squeue's for one job.
func line(fields ...string) string { return strings.Join(fields, separator) + separator + "\n" }

func TestParseJobs(t *testing.T) {
	out := line("7", "RUNNING", "0", "1700000000", "1700000060", "1700003600", "c1", "None", "n", "a,b  c") +
		line("8", "PENDING", "0", "2023-11-14T22:13:20", "N/A", "N/A", "", "Resources", "m", "(null)") +
		line("9", "FAILED", "2304", "1700000000", "1700000060", "1700000070", "c2", "NonZeroExitCode", "o", "x") +
		line("10", "TIMEOUT", "0:15", "1700000000", "1700000060", "1700000070", "c2", "TimeLimit", "p", "y") +
		line("11", "LAUNCH_FAILED", "?", "", "", "", "", "", "q", "z") +
		"somebody's job with a line\n" + line("break", "in", "its", "name")
	jobs, err := parseJobs(out)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	submitted := time.Date(2023, 11, 14, 22, 13, 20, 0, time.Local)
	want := []scheduler.Job{
		{ID: "7", State: scheduler.Running, RawState: "RUNNING", Submitted: at(1700000000), Started: at(1700000060), Node: "c1", Name: "n", Comment: "a,b  c"},
		{ID: "8", State: scheduler.Pending, RawState: "PENDING", Submitted: submitted, Reason: "Resources", Name: "m"},
		{ID: "9", State: scheduler.Failed, RawState: "FAILED", ExitCode: 9, Submitted: at(1700000000), Started: at(1700000060), Ended: at(1700000070), Node: "c2", Reason: "NonZeroExitCode", Name: "o", Comment: "x"},
		{ID: "10", State: scheduler.Timeout, RawState: "TIMEOUT", Signal: 15, Submitted: at(1700000000), Started: at(1700000060), Ended: at(1700000070), Node: "c2", Reason: "TimeLimit", Name: "p", Comment: "y"},
		{ID: "11", State: scheduler.Unknown, RawState: "LAUNCH_FAILED", Name: "q", Comment: "z"},
	}
	if !reflect.DeepEqual(jobs, want) {
		t.Errorf("jobs are\n%+v, want\n%+v", jobs, want)
	}
	if jobs, err := parseJobs(""); err != nil || len(jobs) != 0 {
		t.Errorf("no jobs: %v, %v", jobs, err)
	}
}

func TestParsePartitions(t *testing.T) {
	out := strings.Join([]string{"cpu*", "up", "1-00:00:00", "4", "4000", "gpu:2"}, separator) + "\n" +
		strings.Join([]string{"cpu*", "up", "1-00:00:00", "8+", "9000+", "gpu:A100:4(S:0,2),shard:8,gpu:h100:1"}, separator) + "\n" +
		strings.Join([]string{"old", "down", "infinite", "2", "2000", "(null)"}, separator) + "\nbanner\n"
	want := []scheduler.Partition{
		{Name: "cpu", Default: true, Up: true, MaxTime: 24 * time.Hour, Shapes: []scheduler.Shape{
			{CPUs: 4, MemoryMiB: 4000, GPUs: 2, GPUTypes: map[string]int{"": 2}},
			{CPUs: 8, MemoryMiB: 9000, GPUs: 5, GPUTypes: map[string]int{"a100": 4, "h100": 1}}}},
		{Name: "old", Shapes: []scheduler.Shape{{CPUs: 2, MemoryMiB: 2000, GPUTypes: map[string]int{}}}},
	}
	if got := parsePartitions(out); !reflect.DeepEqual(got, want) {
		t.Errorf("partitions are\n%+v, want\n%+v", got, want)
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1-00:00:00": 24 * time.Hour, "2-03:04:05": 51*time.Hour + 4*time.Minute + 5*time.Second, "12:30:00": 12*time.Hour + 30*time.Minute,
		"30:00": 30 * time.Minute, "5": 5 * time.Minute, "1-12": 36 * time.Hour, "infinite": 0, "UNLIMITED": 0, "n/a": 0, "": 0,
	} {
		if got := parseLimit(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	nice := 100
	full := scheduler.Spec{Name: "n x", Comment: "c", WorkDir: "/w", Output: "/w/out", Partition: "gpu", Account: "lab", QoS: "q",
		Constraint: "a&b", Reservation: "r", CPUs: 3, MemoryMiB: 512, GPUs: 2, GPUType: "a100", TimeLimit: 61 * time.Second,
		WarnBefore: 1500 * time.Millisecond, Exclusive: true, Nice: &nice, Options: []string{"--requeue", "--licenses=x:1"}}
	want := strings.Fields(`--requeue --licenses=x:1 --parsable --export=NIL --propagate=NONE --no-requeue --nodes=1 --ntasks=1 --open-mode=append --job-name=n_x
		--comment=c --chdir=/w --output=/w/out --error=/w/out --cpus-per-task=3 --mem=512M --gres=gpu:a100:2 --time=2 --signal=B:TERM@2
		--partition=gpu --account=lab --qos=q --constraint=a&b --reservation=r --exclusive --nice=100`)
	want[slices.Index(want, "--job-name=n_x")] = "--job-name=n x"
	if got := (&Slurm{version: "slurm 24.11.5"}).arguments(full); !slices.Equal(got, want) {
		t.Errorf("arguments are\n%q, want\n%q", got, want)
	}
	small := strings.Join((&Slurm{}).arguments(scheduler.Spec{CPUs: 1, GPUs: 1}), " ")
	for _, unset := range []string{"--mem", "--time", "--signal", "--partition", "--exclusive", "--nice"} {
		if strings.Contains(small, unset) {
			t.Errorf("%s is given though nobody asked: %s", unset, small)
		}
	}
}

func TestExportDependsOnTheVersion(t *testing.T) {
	for version, want := range map[string]string{"slurm-wlm 22.05.8": "ALL", "slurm 21.08.8-2": "ALL", "slurm 23.02.1": "NIL",
		"slurm 24.11.5": "NIL", "slurm-wlm 26.05.5": "NIL", "": "NIL", "something else": "NIL"} {
		if got := export(version); got != "--export="+want {
			t.Errorf("%q: %s", version, got)
		}
	}
}
