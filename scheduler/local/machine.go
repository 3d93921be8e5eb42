package local

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// thisMachine describes the machine as a partition, and names its present boot:
// pids and start times mean something only within one.
func thisMachine(gpus int) (p scheduler.Partition, boot string, err error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return p, "", err
	}
	memory, err := totalMemoryMiB()
	if err != nil {
		return p, "", err
	}
	shape := scheduler.Shape{CPUs: runtime.NumCPU(), MemoryMiB: memory, GPUs: gpus, GPUTypes: map[string]int{"": gpus}}
	p = scheduler.Partition{Name: Partition, Default: true, Up: true, Shapes: []scheduler.Shape{shape}}
	return p, strings.TrimSpace(string(id)), nil
}

// totalMemoryMiB reads the machine's memory from /proc/meminfo, whose unit is KiB.
func totalMemoryMiB() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo names no MemTotal")
}

// Partitions describes this machine.
func (l *Local) Partitions(context.Context) ([]scheduler.Partition, error) {
	return []scheduler.Partition{l.machine}, nil
}

// check refuses what can never run here.
func (l *Local) check(spec scheduler.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if spec.GPUs > 0 && l.config.GPUs == 0 {
		return &scheduler.Error{Kind: scheduler.Refused, Op: "submit job " + spec.Name,
			Text: fmt.Sprintf("the job asks for %d GPUs, and the local scheduler has none to give", spec.GPUs),
			Hint: "deploy it without GPUs (disable_gpu), or say in the configuration how many GPUs this machine has"}
	}
	if err := scheduler.Fits(spec, []scheduler.Partition{l.machine}); err != nil {
		return err
	}
	return scheduler.CheckFolders(spec)
}

// freeGPUs chooses n GPUs that no unfinished job has. The caller holds mu.
func (l *Local) freeGPUs(n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	records, err := l.records()
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, r := range records {
		if !r.job(l.boot).State.Ended() {
			for _, g := range r.GPUs {
				taken[g] = true
			}
		}
	}
	free := slices.DeleteFunc(sequence(l.config.GPUs), func(g int) bool { return taken[g] })
	if len(free) < n {
		return nil, fmt.Errorf("the job asks for %d GPUs and %d of this machine's %d are free; there is no queue here",
			n, len(free), l.config.GPUs)
	}
	return free[:n], nil
}

func sequence(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func commaList(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ",")
}
