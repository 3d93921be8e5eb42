package bed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a server we started. One goroutine waits for its end; its run folder's keeper ends it if we are killed.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  string        // file of its stdout and stderr
}

// startProcess starts argv in a session of its own with exactly that environment, and records it in the run folder.
func startProcess(run, label, log string, env []string, argv ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", label, err)
	}
	defer file.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, run
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", label, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{}), log: log}
	recorded := recordProcess(run, cmd.Process.Pid, label) // before the wait: a process not waited for keeps its /proc entry
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is seen by who asks it to
	}()
	if recorded != nil {
		return nil, errors.Join(recorded, p.end(syscall.SIGKILL, time.Second))
	}
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end sends the signal and waits for the process to go; after the patience it is killed.
func (p *process) end(signal syscall.Signal, patience time.Duration) error {
	if p.ended() {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", p.cmd.Process.Pid, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// said is the end of its log.
func (p *process) said() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return tail(log)
}
