// Package sbatch owns the back end that drives Slurm by its commands: sbatch,
// squeue, scancel and sinfo, which nearly every login node has. Its main type is
// Slurm; the command wires it.
//
// The texts of these commands were read on Slurm 22.05, 24.11 and 26.05. Nothing
// goes through a shell, and the commands see a short environment of their own, so
// that no variable of the controller (its token least of all) is stored in Slurm's
// spool.
package sbatch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Config says how to reach Slurm. The zero value is right on most login nodes.
type Config struct {
	// BinDir holds Slurm's commands. Empty: where PATH finds sbatch now.
	BinDir string
	// SlurmConf is handed to the commands as SLURM_CONF. Empty: this process's.
	SlurmConf string
	// Timeout ends one command. 0: 45 s, above Slurm's own time-outs at most sites.
	Timeout time.Duration
	// CheckFolders says whether the folders of a job exist. nil:
	// scheduler.CheckFolders, right wherever this process runs on a login node.
	CheckFolders func(scheduler.Spec) error
}

// Slurm submits, lists and ends jobs by Slurm's commands.
type Slurm struct {
	config  Config
	env     []string
	version string
}

var (
	_ scheduler.Scheduler = (*Slurm)(nil)
	_ scheduler.Inspector = (*Slurm)(nil)
)

// programs are what the back end runs.
var programs = []string{"sbatch", "squeue", "scancel", "sinfo"}

// New finds Slurm's commands and asks for their version. It does not contact
// slurmctld.
func New(ctx context.Context, config Config) (*Slurm, error) {
	if config.Timeout == 0 {
		config.Timeout = 45 * time.Second
	}
	if config.CheckFolders == nil {
		config.CheckFolders = scheduler.CheckFolders
	}
	if config.SlurmConf == "" {
		config.SlurmConf = os.Getenv("SLURM_CONF")
	}
	if err := config.find(); err != nil {
		return nil, &scheduler.Error{Kind: scheduler.Unreachable, Op: "find Slurm's commands", Err: err,
			Hint: "run on a login node, or set the folder of sbatch, squeue, scancel and sinfo in the configuration"}
	}
	s := &Slurm{config: config, env: environment(config)}
	answer, err := s.run(ctx, "sbatch", "", "--version")
	if err != nil || answer.code != 0 {
		return nil, unreachable("ask for Slurm's version", answer, err)
	}
	s.version = strings.TrimSpace(answer.stdout)
	return s, nil
}

// find makes BinDir absolute and sees to it that the commands are there.
func (c *Config) find() error {
	if c.BinDir == "" {
		path, err := exec.LookPath("sbatch")
		if err != nil {
			return err
		}
		c.BinDir = filepath.Dir(path)
	}
	dir, err := filepath.Abs(c.BinDir)
	if err != nil {
		return err
	}
	c.BinDir = dir
	for _, p := range programs {
		if _, err := exec.LookPath(filepath.Join(dir, p)); err != nil {
			return err
		}
	}
	return nil
}

// Version is what `sbatch --version` prints: "slurm 24.11.5".
func (s *Slurm) Version() string { return s.version }

// environment is all that the commands inherit. SLURM_* reaches the job even under
// NIL.
func environment(c Config) []string {
	env := []string{"PATH=" + c.BinDir + ":/usr/bin:/bin", "LC_ALL=C"}
	for _, name := range []string{"HOME", "USER", "LOGNAME"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	if c.SlurmConf != "" {
		env = append(env, "SLURM_CONF="+c.SlurmConf)
	}
	return env
}

// export is the sbatch option that keeps this environment out of the job. Slurm
// before 23.02 has no NIL; there the commands' short environment reaches the job
// (NONE would make Slurm load the user's login environment instead).
func export(version string) string {
	fields := strings.Fields(version)
	if len(fields) == 0 {
		return "--export=NIL"
	}
	number := strings.Split(fields[len(fields)-1], ".")
	major, err := strconv.Atoi(number[0])
	if err != nil || major > 22 {
		return "--export=NIL"
	}
	return "--export=ALL"
}

// unreachable is the error of a question that was not answered.
func unreachable(op string, a answer, err error) error {
	text := a.text()
	if text == "" && err == nil {
		text = fmt.Sprintf("exit status %d without a word", a.code)
	}
	return &scheduler.Error{Kind: scheduler.Unreachable, Op: op, Text: text, Hint: scheduler.HintFor(text), Err: err}
}
