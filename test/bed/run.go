package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A run folder belongs to one running system. Beside what the system itself keeps there:
//
//	owner  "PID START" of the process the system dies with, or "none" for one started to stay (bed up)
//	pids   a line "PID START LABEL" for every process to end; START is the process's start time, so that a pid that was
//	       given to somebody else in the meantime is never killed
//	links  names of network interfaces of this machine to remove
//
// reap.sh (keeper.go) ends what they name.
func runsDir() string { return filepath.Join(CacheDir(), "run") }

// newRun makes the run folder of a system of that kind, owned by this process or by nobody. Folders whose owner has died are
// cleaned up first.
func newRun(ctx context.Context, kind string, owned bool) (string, error) {
	if err := os.MkdirAll(runsDir(), 0o755); err != nil {
		return "", fmt.Errorf("create the folder of running systems: %w", err)
	}
	if err := reapStale(ctx); err != nil {
		return "", err
	}
	owner := "none"
	if owned {
		_, start, err := processStat(os.Getpid())
		if err != nil {
			return "", fmt.Errorf("read the start time of this process: %w", err)
		}
		owner = fmt.Sprintf("%d %s", os.Getpid(), start)
	}
	made, err := os.MkdirTemp(runsDir(), ".new-")
	if err != nil {
		return "", fmt.Errorf("create a run folder: %w", err)
	}
	dir := filepath.Join(runsDir(), kind+strings.TrimPrefix(filepath.Base(made), ".new"))
	err = errors.Join(os.Chmod(made, 0o755), os.WriteFile(filepath.Join(made, "owner"), []byte(owner+"\n"), 0o644), os.Rename(made, dir))
	if err != nil {
		return "", errors.Join(fmt.Errorf("create a run folder: %w", err), os.RemoveAll(made))
	}
	return dir, nil
}

// recordProcess adds a process to those that end with the run.
func recordProcess(dir string, pid int, label string) error {
	_, start, err := processStat(pid)
	if err != nil {
		return fmt.Errorf("record %s: %w", label, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "pids"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("record %s: %w", label, err)
	}
	_, err = fmt.Fprintf(file, "%d %s %s\n", pid, start, label)
	return errors.Join(err, file.Close())
}

// processStat reads the state and the start time of a process, fields 3 and 22 of /proc/PID/stat; the time is in clock ticks
// since boot. The command in field 2 may hold spaces, so fields are counted from its closing parenthesis.
func processStat(pid int) (state, start string, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return "", "", fmt.Errorf("unexpected /proc/%d/stat", pid)
	}
	return fields[0], fields[19], nil
}

// alive tells whether the process that a line of an owner or pids file names still runs (a zombie does not).
func alive(line string) bool {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return false
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return false
	}
	state, start, err := processStat(pid)
	return err == nil && start == fields[1] && state != "Z"
}

// reapStale ends and removes the systems whose owner died without its keeper doing so (both killed at once).
func reapStale(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(runsDir(), "*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		owner, err := os.ReadFile(filepath.Join(dir, "owner"))
		if err != nil || strings.TrimSpace(string(owner)) == "none" || alive(string(owner)) {
			continue // unreadable: its keeper is removing it at this moment
		}
		if err := reap(ctx, dir); err != nil {
			return fmt.Errorf("clean up after a test process that died: %w", err)
		}
	}
	return nil
}
