package local

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// process is a process as a record remembers it: the number together with the
// moment of its start, so that another one with the same number is not mistaken
// for it. The zero value stands for none.
type process struct {
	pid   int
	start uint64 // clock ticks since boot, field 22 of /proc/PID/stat
}

// alive says whether it runs; a zombie does not.
func (p process) alive() bool {
	start, zombie, err := procStat(p.pid)
	return err == nil && !zombie && p.start != 0 && start == p.start
}

// signal sends s, or returns os.ErrProcessDone when the process is gone. The
// handle (a pidfd) is taken before the start is compared, so the signal cannot
// reach a successor.
func (p process) signal(s syscall.Signal) error {
	if p.pid <= 0 {
		return os.ErrProcessDone
	}
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return err
	}
	defer handle.Release()
	if !p.alive() {
		return os.ErrProcessDone
	}
	return handle.Signal(s)
}

// procStat reads the start and the state of a process.
func procStat(pid int) (start uint64, zombie bool, err error) {
	if pid <= 0 {
		return 0, false, os.ErrProcessDone
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	// The name before the last ')' may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, false, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return start, fields[0][0] == 'Z' || fields[0][0] == 'X', err
}
