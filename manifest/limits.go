package manifest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bounds what reading one deployment file may cost. Zero fields have the
// defaults of design 3.
type Limits struct {
	FileBytes   int           // 1 MiB
	Time        time.Duration // 5 s, of wall time and of CPU
	StartTime   time.Duration // 5 s, of wall time on top, for a busy machine to start and end a process
	MemoryBytes uint64        // 512 MiB of data beyond what the idle program holds
}

func (l Limits) withDefaults() Limits {
	if l.FileBytes == 0 {
		l.FileBytes = 1 << 20
	}
	if l.Time == 0 {
		l.Time = 5 * time.Second
	}
	if l.StartTime == 0 {
		l.StartTime = 5 * time.Second
	}
	if l.MemoryBytes == 0 {
		l.MemoryBytes = 512 << 20
	}
	return l
}

// confine limits the calling process for the rest of its life. Memory is limited
// as data, not as address space: the Go runtime reserves more address space than
// any sensible limit, and a race-enabled one holds terabytes of it as data
// already, hence "beyond what it holds now".
func confine(l Limits) error {
	held, err := heldData()
	if err != nil {
		return err
	}
	cpu := uint64((l.Time + time.Second - 1) / time.Second)
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_DATA, held + l.MemoryBytes},
		{"CPU time", unix.RLIMIT_CPU, cpu},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"core size", unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("limit the %s: %w", limit.name, err)
		}
	}
	return nil
}

// heldData returns the bytes that the kernel counts towards RLIMIT_DATA now.
func heldData() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory in use: %w", err)
	}
	_, after, _ := bytes.Cut(status, []byte("\nVmData:"))
	line, _, _ := bytes.Cut(after, []byte(" kB"))
	kilobytes, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory in use: %w", err)
	}
	return kilobytes << 10, nil
}
