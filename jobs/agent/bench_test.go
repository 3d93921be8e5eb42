package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// BenchmarkCall is a call from the controller's link to Python and back, one at a time: to the fake runtime, which does
// nothing with it, and to the real one with hypha-rpc.
func BenchmarkCall(b *testing.B) {
	b.Run("fake", func(b *testing.B) {
		j := newJob(b, nil)
		j.event(link.EventReady)
		measure(b, func(int) {
			j.call("c", "echo x")
			j.answer("c")
		})
	})
	b.Run("real", func(b *testing.B) {
		python, err := bed.Python(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		j := startJob(b, newController(b, realAssign(b, tag, "front", "Front")), python)
		j.event(link.EventReady)
		measure(b, func(i int) {
			session := fmt.Sprint("s", i)
			invoke(b, j.controller, session, "echo", 1)
			settled(b, j.controller, session)
		})
	})
}

// measure times each call and reports quantiles.
func measure(b *testing.B, call func(i int)) {
	times := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range times {
		start := time.Now()
		call(i)
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "µs-p99")
}
