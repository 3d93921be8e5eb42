package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process used in some time.
type Usage struct {
	Seconds    float64 // of watching
	CPUSeconds float64 // of the process itself
	ChildCPU   float64 // seconds of the programs it ran and waited for: sbatch, squeue
	RSSBytes   int64   // at the end
	HighestRSS int64   // bytes, since its start
	at         time.Time
}

// readUsage reads the totals of a process since its start.
func readUsage(pid int) (u Usage, err error) {
	u.at = time.Now()
	if u.CPUSeconds, err = ownCPU(pid); err != nil {
		return u, err
	}
	if u.ChildCPU, err = childCPU(pid); err != nil {
		return u, err
	}
	if u.RSSBytes, err = memory(pid, "VmRSS:"); err != nil {
		return u, err
	}
	u.HighestRSS, err = memory(pid, "VmHWM:")
	return u, err
}

// since is what was used after before.
func (u Usage) since(before Usage) Usage {
	u.Seconds = u.at.Sub(before.at).Seconds()
	u.CPUSeconds -= before.CPUSeconds
	u.ChildCPU -= before.ChildCPU
	return u
}

// ownCPU reads the CPU clock of a process, which is exact to the nanosecond;
// see clock_getcpuclockid(3) for its number.
func ownCPU(pid int) (seconds float64, err error) {
	const scheduler = 2 // the kernel's CPUCLOCK_SCHED: user and system time
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()).Seconds(), nil
}

// childCPU are fields 16 and 17 of /proc/PID/stat, counted from the name's
// closing parenthesis; their unit is 1/100 s on Linux (proc(5)).
func childCPU(pid int) (seconds float64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err := strconv.ParseFloat(fields[13], 64)
	system, err2 := strconv.ParseFloat(fields[14], 64)
	return (user + system) / 100, errors.Join(err, err2)
}

// memory reads one line of /proc/PID/status, whose unit is KiB.
func memory(pid int, name string) (bytes int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == name {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, name)
}

// idle watches the controller while nobody asks anything of it.
func (s *stage) idle(ctx context.Context) error {
	s.say("%s: watching the idle controller for %s", s.found.Name, s.Idle)
	used, err := s.watch(ctx, s.Idle)
	if err != nil {
		return err
	}
	s.found.Idle = &used
	s.say("%s: idle controller: %.1f MB, %.3f %% of a core, and %.3f %% in programs of Slurm", s.found.Name, mb(used.RSSBytes), used.cpuPercent(), used.childPercent())
	return nil
}

// watch waits and returns what the controller used meanwhile.
func (s *stage) watch(ctx context.Context, d time.Duration) (Usage, error) {
	pid, err := s.ControllerPID()
	if err != nil {
		return Usage{}, err
	}
	before, err := readUsage(pid)
	if err != nil {
		return Usage{}, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return Usage{}, ctx.Err()
	}
	after, err := readUsage(pid)
	return after.since(before), err
}

func (u Usage) cpuPercent() float64   { return 100 * u.CPUSeconds / u.Seconds }
func (u Usage) childPercent() float64 { return 100 * u.ChildCPU / u.Seconds }

// mb are megabytes of 10^6.
func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
