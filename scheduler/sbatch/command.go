package sbatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of what a command may print. One that prints more on stdout is ended; more
// on stderr is thrown away. A squeue of 10,000 own jobs is about 7 MB.
const (
	maxStdout = 32 << 20
	maxStderr = 64 << 10
)

// answer is what a command said.
type answer struct {
	stdout, stderr string
	code           int // exit status; -1: a signal ended it
}

// text is what a person would read: the lines of stderr without the programs' own
// prefixes.
func (a answer) text() string {
	var lines []string
	for line := range strings.Lines(a.stderr) {
		for _, p := range programs {
			line = strings.TrimPrefix(line, p+": error: ")
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, "Batch job submission failed: "))
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// run executes one of Slurm's commands. The error says that there is no whole
// answer: it could not be started, took too long, or printed too much. An exit
// status other than 0 is an answer.
func (s *Slurm) run(ctx context.Context, program, stdin string, args ...string) (answer, error) {
	env := s.env
	if program == "squeue" {
		env = append(slices.Clone(env), "SLURM_TIME_FORMAT=%s") // seconds since 1970
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.Timeout,
		fmt.Errorf("%s gave no answer within %s: %w", program, s.config.Timeout, context.DeadlineExceeded))
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.config.BinDir, program), args...)
	stdout, stderr := &bounded{max: maxStdout, full: errTooMuch}, &bounded{max: maxStderr}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), stdout, stderr
	cmd.Env, cmd.Dir = env, "/"
	// A wrapper script's children are to end with it, and pipes they may hold
	// open must not keep us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	a := answer{stdout: stdout.kept.String(), stderr: stderr.kept.String(), code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	case stdout.cut:
		return a, fmt.Errorf("%s %w", program, errTooMuch)
	case errors.As(err, &exit) && a.code >= 0:
		return a, nil
	}
	return a, err
}

var errTooMuch = fmt.Errorf("printed more than %d bytes", maxStdout)

// bounded keeps the first max bytes. What comes after them is dropped, or, with
// full set, is an error that closes the writer's pipe.
type bounded struct {
	kept bytes.Buffer // no embedding: its ReadFrom would go past Write
	max  int
	full error
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-b.kept.Len())
	_, _ = b.kept.Write(p[:keep]) // never fails
	if b.cut = b.cut || keep < len(p); b.cut && b.full != nil {
		return keep, b.full
	}
	return len(p), nil
}
