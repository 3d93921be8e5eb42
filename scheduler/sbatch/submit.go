package sbatch

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Submit runs sbatch once, with the script as its standard input.
func (s *Slurm) Submit(ctx context.Context, spec scheduler.Spec) (string, error) {
	if err := spec.Validate(); err != nil {
		return "", err
	}
	if err := s.config.CheckFolders(spec); err != nil {
		return "", err
	}
	op := "submit job " + spec.Name
	a, err := s.run(ctx, "sbatch", spec.Script, s.arguments(spec)...)
	if err == nil && a.code == 0 {
		if id, ok := parseID(a.stdout); ok {
			return id, nil
		}
		a.stderr = fmt.Sprintf("sbatch succeeded but printed no job id: %.200q %s", a.stdout, a.stderr)
	}
	return "", failedSubmit(op, a, err)
}

// arguments are sbatch's: the policy's options first, ours after them, for the
// last of two wins. The limits of this process (login nodes often have narrow ones)
// are not the job's: --propagate=NONE.
func (s *Slurm) arguments(spec scheduler.Spec) []string {
	args := append([]string{}, spec.Options...)
	args = append(args, "--parsable", export(s.version), "--propagate=NONE", "--no-requeue", "--nodes=1", "--ntasks=1", "--open-mode=append",
		"--job-name="+spec.Name, "--comment="+spec.Comment, "--chdir="+spec.WorkDir, "--output="+spec.Output, "--error="+spec.Output,
		"--cpus-per-task="+strconv.Itoa(spec.CPUs))
	if spec.MemoryMiB > 0 {
		args = append(args, fmt.Sprintf("--mem=%dM", spec.MemoryMiB))
	}
	if spec.GPUs > 0 {
		args = append(args, gres(spec))
	}
	if spec.TimeLimit > 0 {
		args = append(args, fmt.Sprintf("--time=%d", spec.Minutes()))
	}
	if spec.WarnBefore > 0 {
		args = append(args, fmt.Sprintf("--signal=B:TERM@%d", (spec.WarnBefore+time.Second-1)/time.Second))
	}
	for _, o := range [][2]string{{"partition", spec.Partition}, {"account", spec.Account}, {"qos", spec.QoS},
		{"constraint", spec.Constraint}, {"reservation", spec.Reservation}} {
		if o[1] != "" {
			args = append(args, "--"+o[0]+"="+o[1])
		}
	}
	if spec.Exclusive {
		args = append(args, "--exclusive")
	}
	if spec.Nice != nil {
		args = append(args, fmt.Sprintf("--nice=%d", *spec.Nice))
	}
	return args
}

func gres(spec scheduler.Spec) string {
	if spec.GPUType != "" {
		return fmt.Sprintf("--gres=gpu:%s:%d", spec.GPUType, spec.GPUs)
	}
	return fmt.Sprintf("--gres=gpu:%d", spec.GPUs)
}

var jobID = regexp.MustCompile(`^([0-9]+)(;[^\s;]+)?$`)

// parseID reads `id` or `id;cluster` from the last line; a site's submit filter
// may have printed lines before it.
func parseID(stdout string) (string, bool) {
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	m := jobID.FindStringSubmatch(strings.TrimSpace(lines[len(lines)-1]))
	if m == nil {
		return "", false
	}
	return m[1], true
}

// The refusals that are none: the order never reached slurmctld, or its answer was
// lost on the way.
var (
	notReached = []string{"Unable to contact slurm controller", "Communication connection failure", "Connection refused",
		"Could not establish a configuration source", "backup controller in standby", "Munge", "munge",
		"Protocol authentication error", "Invalid authentication credential", "Plugin initialization failed"}
	answerLost = []string{"Socket timed out", "Zero Bytes were transmitted", "receive failure", "send failure", "shutdown failure",
		"Connection reset", "Transport endpoint", "Unexpected message", "Message receive", "Insane message", "Unspecified error"}
)

// failedSubmit classifies a submission that gave no job id. Without a whole answer
// from sbatch nobody knows whether there is a job.
func failedSubmit(op string, a answer, err error) error {
	text := a.text()
	e := &scheduler.Error{Kind: scheduler.Refused, Op: op, Text: text, Hint: scheduler.HintFor(text), Err: err}
	switch {
	case err != nil, a.code <= 0, contains(text, answerLost), text == "":
		e.Kind = scheduler.Unclear
	case contains(text, notReached):
		e.Kind = scheduler.Unreachable
	}
	if text == "" && err == nil {
		e.Text = fmt.Sprintf("sbatch ended with status %d without a word", a.code)
	}
	return e
}

func contains(text string, any []string) bool {
	for _, a := range any {
		if strings.Contains(text, a) {
			return true
		}
	}
	return false
}
