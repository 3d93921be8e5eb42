package main

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	samples := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, 50: 3, 80: 4, 99: 5, 100: 5} {
		if got := percentile(samples, p); got != want {
			t.Errorf("percentile %g of %v is %g, want %g", p, samples, got, want)
		}
	}
	if !slices.Equal(samples, []float64{5, 1, 4, 2, 3}) {
		t.Error("the samples were reordered")
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("percentile of nothing is %g", got)
	}
}

func TestUsage(t *testing.T) {
	t.Run("counts the CPU time of a process and reads its memory", func(t *testing.T) {
		before, err := readUsage(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); time.Since(began) < 20*time.Millisecond; { // work, not sleep
		}
		after, err := readUsage(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used := after.since(before)
		if used.CPUSeconds <= 0 || used.RSSBytes < 1e6 || used.HighestRSS < used.RSSBytes/2 {
			t.Errorf("used %+v", used)
		}
	})
	t.Run("fails for a process that does not exist", func(t *testing.T) {
		if _, err := readUsage(1 << 30); err == nil {
			t.Error("no error")
		}
	})
}

// TestPage holds that figures come from the samples, and that what was not
// measured is not shown as zero.
func TestPage(t *testing.T) {
	local := Stage{
		Name: "local", Starts: []time.Duration{time.Second, 40 * time.Millisecond, 60 * time.Millisecond, 50 * time.Millisecond},
		Runs:   []Run{{Accepted: 0.25, Running: 1.25, Steps: map[string]float64{"import": 0.5, "queue": 0.125}}},
		Small:  Pair{Ours: []float64{1, 2, 3}, Plain: []float64{1, 1.5, 2}, Controller: Usage{CPUSeconds: 0.006}},
		Rates:  Pair{Ours: []float64{900}, Plain: []float64{1000}},
		Arrays: Pair{Ours: []float64{300}, Plain: []float64{500}},
	}
	cluster := local
	cluster.Name = "slurm"
	cluster.Idle = &Usage{Seconds: 60, CPUSeconds: 0.03, RSSBytes: 20e6}
	cluster.Crowd = &Crowd{Usage: Usage{Seconds: 60, CPUSeconds: 0.6, RSSBytes: 70e6}}
	result := Result{Date: "2001-02-03", Commit: "abc", Agents: 1000, Versions: []string{"slurmctld      24.11.5"}, Stages: []Stage{local, cluster},
		micro: []micro{{"jobs/link", []string{"RoundTrip"}}}}
	page := result.page()
	for _, want := range []string{
		"on 2001-02-03 at commit abc", "| slurmctld | 24.11.5 |",
		"| +0.50 ms | +0.50 ms |", "| 1.33 | 1.33 |", "| 2.00 ms | 2.00 ms |", "| 0.90 | 0.90 |", "| 0.60 | 0.60 |",
		"| – | 20.0 MB |", "| – | 50 KB |", "| 0.05 s | 0.05 s |", "| 1.25 s | 1.25 s |",
		"| step queue | 0.125 (0.125) |", "-bench . ./jobs/link` | RoundTrip |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Index(page, "step queue") > strings.Index(page, "step import") {
		t.Error("steps are not in their order")
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, "%!") {
		t.Errorf("the page has numbers that are none:\n%s", page)
	}
}
