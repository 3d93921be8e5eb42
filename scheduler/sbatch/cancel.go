package sbatch

import (
	"context"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Terminate signals the batch process, or cancels a job that has none yet:
// slurmctld ignores signals to pending jobs.
func (s *Slurm) Terminate(ctx context.Context, id string) error {
	op := "terminate job " + id
	if !isID(id) {
		return nil // nobody knows it
	}
	a, err := s.run(ctx, "squeue", "", "--noheader", "--states=all", "--jobs="+id, "--Format=State:0")
	if err == nil && strings.Contains(a.stderr, "Invalid job id") {
		return nil
	}
	if err != nil || a.code != 0 {
		return unreachable(op, a, err)
	}
	switch state := scheduler.ParseState(a.stdout); {
	case state.Ended(), state == scheduler.Completing, strings.TrimSpace(a.stdout) == "":
		return nil
	case state.Active() && state != scheduler.Configuring:
		return s.scancel(ctx, op, "--batch", "--signal=TERM", id)
	}
	return s.scancel(ctx, op, id)
}

// Cancel is a plain scancel.
func (s *Slurm) Cancel(ctx context.Context, id string) error {
	if !isID(id) {
		return nil
	}
	return s.scancel(ctx, "cancel job "+id, id)
}

// scancel gives an order. Given twice it does no harm, so whatever is not a
// refusal may be tried again.
func (s *Slurm) scancel(ctx context.Context, op string, args ...string) error {
	a, err := s.run(ctx, "scancel", "", args...)
	text := a.text()
	switch {
	case err == nil && a.code == 0, strings.Contains(text, "Invalid job id"), strings.Contains(text, "already completing or completed"):
		return nil
	case strings.Contains(text, "permission denied"), strings.Contains(text, "Invalid user id"):
		return &scheduler.Error{Kind: scheduler.Refused, Op: op, Text: text, Hint: scheduler.HintFor(text)}
	}
	return unreachable(op, a, err)
}

// isID says whether id can be one of Slurm's; anything else must not reach a
// command line.
func isID(id string) bool { return jobID.MatchString(id) && !strings.Contains(id, ";") }
