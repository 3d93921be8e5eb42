package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is a running Python process, in a process group of its own.
type child struct {
	pid            int
	socket         *socket
	stdout, stderr *os.File      // our ends of its pipes
	done           chan struct{} // closed when it has ended and state is set
	state          *os.ProcessState
}

// launch makes the replica's home and starts Python in it.
func (r *replica) launch(python, scratch string) (*child, error) {
	if r.assign.WorkDir == "" {
		r.assign.WorkDir = filepath.Join(scratch, "home-"+r.assign.Tag)
	}
	if err := os.MkdirAll(r.assign.WorkDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the working directory: %w", err)
	}
	cmd := exec.Command(python, "-s", "-m", runtimePackage)
	cmd.Dir = scratch // where -m finds the package; the runtime changes to the working directory
	cmd.Env = environment(os.Environ(), r.assign.WorkDir)
	c, err := startChild(cmd)
	if err != nil {
		return nil, err
	}
	r.uplink.mu.Lock()
	defer r.uplink.mu.Unlock()
	r.child = c
	return c, nil
}

// startChild starts cmd with a socket as descriptor 3 and pipes for its output.
func startChild(cmd *exec.Cmd) (*child, error) {
	socket, theirs, err := newSocket(&fragments{})
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	c := &child{socket: socket, done: make(chan struct{})}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,
		Pdeathsig: syscall.SIGKILL, // Python never outlives the agent
	}
	if err := c.start(cmd); err != nil {
		socket.close()
		c.closeOutput()
		return nil, err
	}
	return c, nil
}

func (c *child) start(cmd *exec.Cmd) error {
	stdout, err := pipe(&c.stdout)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := pipe(&c.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	started := make(chan error)
	go c.wait(cmd, started)
	return <-started
}

// pipe returns the end to write to and sets ours to the other one.
func pipe(ours **os.File) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for Python's output: %w", err)
	}
	*ours = r
	return w, nil
}

// wait starts cmd and waits for its end, which closes done. It keeps its thread for the child's life, since Pdeathsig
// is sent when the thread that started the child ends.
func (c *child) wait(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	_ = cmd.Wait() // how it ended stands in ProcessState
	c.state = cmd.ProcessState
	close(c.done)
}

func (c *child) ended() bool { return c.endsWithin(0) }

func (c *child) endsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	default:
	}
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// signal signals Python and all processes that it has started and that stayed in its group.
func (c *child) signal(s unix.Signal) {
	if err := unix.Kill(-c.pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		_ = unix.Kill(c.pid, s) // the group is not there yet, or not ours any more
	}
}

func (c *child) kill() { c.signal(unix.SIGKILL) }

// sweep ends what the ended child has left in its group.
func (c *child) sweep() { _ = unix.Kill(-c.pid, unix.SIGKILL) } // ESRCH: nothing is left

func (c *child) closeOutput() {
	for _, f := range []*os.File{c.stdout, c.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// status returns how the child has ended: its exit code, or -1 and the name of the signal.
func (c *child) status() (code int, signal string) {
	if status, ok := c.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -1, status.Signal().String()
	}
	return c.state.ExitCode(), ""
}
