package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	maxReplyBytes  = 8 << 20
	maxStderrBytes = 4 << 10
)

// ask runs one child for one file. Its error is this machine's failure, except
// for an *Error when the file cost more than it may.
func (r Reader) ask(ctx context.Context, request childRequest, text []byte) (childReply, error) {
	limits := r.Limits.withDefaults()
	request.MaxBytes, request.Time, request.MemoryBytes = limits.FileBytes, limits.Time, limits.MemoryBytes
	header, err := json.Marshal(request)
	if err != nil {
		return childReply{}, fmt.Errorf("read %s: %w", request.File, err)
	}
	// A byte beyond the limit tells the child enough.
	text = text[:min(len(text), limits.FileBytes+1)]
	timed, cancel := context.WithTimeout(ctx, limits.Time+limits.StartTime)
	defer cancel()
	bounded, overflow := context.WithCancelCause(timed)
	defer overflow(nil)
	cmd, stdout, stderr := r.command(bounded, overflow)
	cmd.Stdin = bytes.NewReader(bytes.Join([][]byte{header, text}, []byte("\n")))
	err = cmd.Run()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return childReply{}, fmt.Errorf("read %s: %w", request.File, ctx.Err())
	case timed.Err() != nil:
		return childReply{}, tooSlow(request.File, limits)
	case bounded.Err() != nil:
		return childReply{}, fmt.Errorf("read %s: %w", request.File, context.Cause(bounded))
	default:
		return childReply{}, explain(request.File, limits, err, stderr.kept.String()+stdout.kept.String())
	}
	var reply childReply
	if err := json.Unmarshal(stdout.kept.Bytes(), &reply); err != nil {
		return childReply{}, fmt.Errorf("read %s: the child's answer is not understood: %w", request.File, err)
	}
	return reply, nil
}

// command prepares the child: no environment, so that nothing secret is in reach
// of the parser, and no working directory of the user's.
func (r Reader) command(ctx context.Context, overflow context.CancelCauseFunc) (cmd *exec.Cmd, stdout, stderr *cappedBuffer) {
	if len(r.Child) > 0 {
		cmd = exec.CommandContext(ctx, r.Child[0], r.Child[1:]...)
	} else {
		// Not os.Executable: after an upgrade in place that names another program.
		cmd = exec.CommandContext(ctx, "/proc/self/exe", ChildCommand)
		cmd.Args[0] = os.Args[0]
	}
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	stdout, stderr = &cappedBuffer{max: maxReplyBytes, overflow: overflow}, &cappedBuffer{max: maxStderrBytes}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// explain turns the end of a child into an error. A child that ends by itself
// has met a limit or crashed over the file; words is what it said last.
func explain(file string, limits Limits, err error, words string) error {
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return fmt.Errorf("read %s: %w", file, err)
	case isKilled(exit):
		return tooSlow(file, limits)
	case isOutOfMemory(words):
		return tooCostly(file, fmt.Sprintf("reading it takes more than %d MiB of memory", limits.MemoryBytes>>20))
	}
	first, _, _ := strings.Cut(strings.TrimSpace(words), "\n")
	return &Error{Code: CodeReaderFailed, Message: fmt.Sprintf("%s cannot be read: the parser ended with %s. %s", file, exit, clip(first)), Place: Place{File: file}}
}

func tooSlow(file string, limits Limits) *Error {
	return tooCostly(file, fmt.Sprintf("reading it takes more than %s", limits.Time))
}

func tooCostly(file, cost string) *Error {
	return &Error{
		Code: CodeReaderLimit, Message: fmt.Sprintf("%s cannot be read: %s.", file, cost),
		Hint: "Deployment files hold code; put data into files of their own.", Place: Place{File: file},
	}
}

// isKilled reports whether the kernel ended the child for its CPU time.
func isKilled(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGXCPU)
}

// isOutOfMemory knows the last words of the Go runtime and of tree-sitter.
func isOutOfMemory(stderr string) bool {
	for _, words := range []string{"out of memory", "cannot allocate memory", "C malloc failed", "tree-sitter failed to", "errno=12"} {
		if strings.Contains(stderr, words) {
			return true
		}
	}
	return false
}

// cappedBuffer keeps the first max bytes and drops the rest; overflow, when set,
// is told that there is more and ends the child. The buffer is not embedded: its
// ReadFrom would go around the bound.
type cappedBuffer struct {
	kept     bytes.Buffer
	max      int
	overflow context.CancelCauseFunc
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	room := b.max - b.kept.Len()
	if len(p) > room && b.overflow != nil {
		b.overflow(fmt.Errorf("the child writes more than %d bytes", b.max))
	}
	b.kept.Write(p[:min(len(p), room)])
	return len(p), nil
}
