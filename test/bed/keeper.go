package bed

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed reap.sh
var reapScript string

// reap ends everything a run folder names and removes the folder.
func reap(ctx context.Context, dir string) error {
	said, err := exec.CommandContext(ctx, "bash", "-c", reapScript, "reap", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("stop what runs in %s: %w\n%s", dir, err, tail(said))
	}
	return nil
}

// keeper is a small process outside our session that waits for the end of a pipe only we hold, and then reaps the run folder:
// when we stop the system, and just as well when we are killed.
type keeper struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
	dir  string
}

func startKeeper(dir string) (*keeper, error) {
	cmd := exec.Command("bash", "-c", "cat >/dev/null; "+reapScript, "reap", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt typed at the terminal must not end it
	cmd.Dir = "/"
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the keeper of %s: %w", dir, err)
	}
	log, err := os.Create(filepath.Join(dir, "keeper.log"))
	if err != nil {
		return nil, fmt.Errorf("start the keeper of %s: %w", dir, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log // a pipe of ours would keep go test waiting
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of %s: %w", dir, err)
	}
	return &keeper{cmd: cmd, pipe: pipe, dir: dir}, nil
}

// stop lets the keeper reap the run folder and waits until it has.
func (k *keeper) stop() error {
	err := errors.Join(k.pipe.Close(), k.cmd.Wait())
	if err != nil {
		said, _ := os.ReadFile(filepath.Join(k.dir, "keeper.log"))
		return fmt.Errorf("stop what runs in %s: %w\n%s", filepath.Base(k.dir), err, tail(said))
	}
	return nil
}
