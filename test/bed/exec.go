package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pid is the host's pid 1 as this machine sees it.
func (c *Cluster) pid(host string) (int, error) {
	text, err := os.ReadFile(filepath.Join(c.run, "hosts", host, "pid"))
	if err != nil {
		return 0, fmt.Errorf("host %s is off, or there is none of that name", host)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// enter are the words that run a command in a host as a user. nsenter waits outside the host's process namespace: killing it
// alone would leave the program running, were it not for the parent-death signal.
func enter(pid, user string) []string {
	words := []string{"nsenter", "-t", pid, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--", "setpriv", "--pdeathsig", "KILL"}
	if user != "root" {
		words = append(words, "--reuid", user, "--regid", user, "--init-groups")
	}
	return append(words, "--")
}

func userEnv(user string) []string {
	home := "/home/" + user
	if user == "root" {
		home = "/root"
	}
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + home, "USER=" + user, "LOGNAME=" + user,
		"SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb"}
}

// Command prepares argv to run in a host ("login", "c1", …) as user ("alice", "bob", "root"), in the user's home and with a
// clean environment: append to its Env to add to it, never assign. The end of ctx kills the program inside; so does killing the
// command, a moment later. To signal the program, and to kill it at once, use Signal. When the host is off, Start fails.
func (c *Cluster) Command(ctx context.Context, host, user string, argv ...string) *exec.Cmd {
	pid, err := c.pid(host)
	words := append(enter(strconv.Itoa(pid), user), "sh", "-c", `cd && exec "$@"`, "sh")
	words = append(words, argv...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = userEnv(user)
	cmd.Cancel = func() error { return Signal(cmd, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second // for what the program left running with our pipes
	if err != nil {
		cmd.Err = err
	}
	return cmd
}

// Output runs a command of Command to its end and returns its stdout without the last newline; the error holds its stderr.
func (c *Cluster) Output(ctx context.Context, host, user string, argv ...string) (string, error) {
	cmd := c.Command(ctx, host, user, argv...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return string(stdout), fmt.Errorf("%s on %s: %w\n%s", argv[0], host, err, tail(stderr.Bytes()))
	}
	return strings.TrimSuffix(string(stdout), "\n"), nil
}

// InnerPID is the process id, as this machine sees it, of the program that a started Command runs.
func InnerPID(cmd *exec.Cmd) (int, error) {
	outer := strconv.Itoa(cmd.Process.Pid)
	for range 500 { // nsenter needs a moment to start it
		children, err := os.ReadFile("/proc/" + outer + "/task/" + outer + "/children")
		if err != nil {
			return 0, fmt.Errorf("find the program behind process %s: %w", outer, err)
		}
		if fields := strings.Fields(string(children)); len(fields) > 0 {
			return strconv.Atoi(fields[0])
		}
		time.Sleep(2 * time.Millisecond)
	}
	return 0, fmt.Errorf("process %s has started no program", outer)
}

// Signal sends a signal to the program that a started Command runs.
func Signal(cmd *exec.Cmd, signal syscall.Signal) error {
	pid, err := InnerPID(cmd)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) { // gone: what was asked for, or too late
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// programs have a wrapper.
var programs = []string{"sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct", "srun"}

// Wrappers is a folder with sbatch, squeue, scancel, scontrol, sinfo, sacct and srun that enter the login host as that user
// (alice or bob), for use from this machine: put it first in PATH. They pass their environment on, but for PATH, HOME and the
// like; a path in their arguments means a path of the login host, so scripts go to sbatch by stdin.
func (c *Cluster) Wrappers(user string) string { return filepath.Join(c.run, "wrappers", user) }

func (c *Cluster) writeWrappers() error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("write the cluster's wrapper programs: %w", err)
	}
	pidFile := filepath.Join(c.run, "hosts", "login", "pid")
	for _, user := range []string{"alice", "bob"} {
		dir := c.Wrappers(user)
		errs := []error{os.MkdirAll(dir, 0o755)}
		words := enter(`"$pid"`, user)
		words[0] = nsenter
		for _, program := range programs {
			script := fmt.Sprintf("#!/bin/sh\nread -r pid < '%s'\nexec %s env %s sh -c 'cd && exec \"$@\"' sh %s \"$@\"\n",
				pidFile, strings.Join(words, " "), strings.Join(userEnv(user), " "), program)
			errs = append(errs, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("write the cluster's wrapper programs: %w", err)
		}
	}
	return nil
}

func (c *Cluster) script(name string) string { return filepath.Join(c.run, "scripts", "bin", name) }
