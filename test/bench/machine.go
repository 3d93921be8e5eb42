package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is where it was measured.
type Machine struct {
	CPU, System, Kernel, Go string
	Cores                   int
	MemoryBytes             int64
}

func thisMachine() (m Machine, err error) {
	m.Cores, m.Go = runtime.NumCPU(), runtime.Version()
	for _, f := range []struct {
		path, key, separator string
		into                 *string
	}{
		{"/proc/cpuinfo", "model name", ":", &m.CPU},
		{"/etc/os-release", "PRETTY_NAME", "=", &m.System},
		{"/proc/sys/kernel/osrelease", "", "", &m.Kernel},
	} {
		if *f.into, err = lookUp(f.path, f.key, f.separator); err != nil {
			return m, err
		}
	}
	total, err := lookUp("/proc/meminfo", "MemTotal", ":")
	if err != nil {
		return m, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(total, " kB"), 10, 64)
	m.MemoryBytes = kib << 10
	return m, err
}

// lookUp reads the value of a key from a file of lines; without a key, the
// whole file.
func lookUp(path, key, separator string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil || key == "" {
		return strings.TrimSpace(string(text)), err
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(name) == key {
			return strings.Trim(strings.TrimSpace(value), `"`), nil
		}
	}
	return "", nil // not every architecture tells
}

// Load tells how busy the machine was. The averages are of one minute.
type Load struct {
	Before      float64 // when the run began
	BusyPercent float64 // of all CPUs, in the seconds before anything was started
	Median, Max float64 // during the run, which causes most of it
}

// loadWatch samples the load until end.
type loadWatch struct {
	Load
	stop    context.CancelFunc
	samples chan []float64
}

const loadPeriod = 2 * time.Second

// watchLoad looks at the quiet machine for a moment and then on, beside the
// run.
func watchLoad(ctx context.Context) (*loadWatch, error) {
	load, err := loadAverage()
	if err != nil {
		return nil, err
	}
	w := &loadWatch{Load: Load{Before: load}, samples: make(chan []float64, 1)}
	if w.BusyPercent, err = busy(loadPeriod); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(ctx)
	go func() { w.samples <- sampleLoad(ctx) }()
	return w, nil
}

func sampleLoad(ctx context.Context) (all []float64) {
	tick := time.NewTicker(loadPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-tick.C:
			if load, err := loadAverage(); err == nil {
				all = append(all, load)
			}
		}
	}
}

func (w *loadWatch) end() Load {
	w.stop()
	all := <-w.samples
	w.Median, w.Max = median(all), percentile(all, 100)
	return w.Load
}

func loadAverage() (one float64, err error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(text), &one)
	return one, err
}

// busy is how many percent of all CPU time were used in d.
func busy(d time.Duration) (float64, error) {
	idle, total, err := cpuTicks()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	idle2, total2, err := cpuTicks()
	return 100 * (1 - (idle2-idle)/(total2-total)), err
}

// cpuTicks reads the first line of /proc/stat; idle includes waiting for
// disks.
func cpuTicks() (idle, total float64, err error) {
	text, err := lookUp("/proc/stat", "cpu", "  ")
	if err != nil {
		return 0, 0, err
	}
	for i, field := range strings.Fields(text) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i == 3 || i == 4 {
			idle += n
		}
		total += n
	}
	return idle, total, nil
}
