package apptainer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DefaultPath is the PATH of job scripts that name no other.
const DefaultPath = "/usr/local/bin:/usr/bin:/bin"

// ScriptParams says what a batch script starts: Run in a container, or Command on
// the host.
type ScriptParams struct {
	Home string // HOME of the script; where Apptainer looks for the user's settings
	Path string // empty: DefaultPath

	Run     *Run     // a program in a container, or
	Command []string // a program of the host, its path absolute: for host images
}

// Variables of the batch system that a program inside may need. --containall drops
// everything, so the script hands these on by name; Slurm sets the one about GPUs
// where it grants them.
var (
	forwarded    = []string{"SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_CPUS_PER_TASK"}
	forwardedGPU = "CUDA_VISIBLE_DEVICES"
)

// JobScript writes the batch script of an allocation. It ends in exec, so that the
// batch process is Apptainer itself (or the program): a signal to it alone reaches
// the program inside, while the process that serves the image lives on.
func JobScript(p ScriptParams) (string, error) {
	if err := checkPath(p.Home); err != nil {
		return "", fmt.Errorf("job script: the home %.200q %w", p.Home, err)
	}
	if (p.Run == nil) == (p.Command == nil) {
		return "", fmt.Errorf("job script: either a container or a command is needed")
	}
	if p.Path == "" {
		p.Path = DefaultPath
	}
	argv, env := p.Command, map[string]string{}
	var err error
	if p.Run != nil {
		argv, env, err = p.Run.Argv()
	} else if err = checkCommand(argv); err == nil {
		err = checkPath(argv[0])
	}
	if err != nil {
		return "", fmt.Errorf("job script: %w", err)
	}
	env["HOME"], env["PATH"] = p.Home, p.Path
	return p.lines(argv, env), nil
}

// lines puts the script together: no file it makes is for others to read, and no
// core file holds what the program held.
func (p ScriptParams) lines(argv []string, env map[string]string) string {
	var b strings.Builder
	b.WriteString("#!/bin/bash\n# Starts one allocation of bioengine-hpc. It holds no secret.\numask 077\nulimit -c 0\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "export %s=%s\n", name, Quote(env[name]))
	}
	if p.Run != nil {
		names := forwarded
		if p.Run.GPUs {
			names = append(slices.Clone(names), forwardedGPU)
		}
		for _, name := range names {
			fmt.Fprintf(&b, "[ -z \"${%s+set}\" ] || export %s%s=\"$%s\"\n", name, envPrefix, name, name)
		}
	}
	fmt.Fprintf(&b, "exec %s\n", QuoteAll(argv))
	return b.String()
}
