package sbatch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// separator stands after each field: the unit separator of ASCII, which our names
// and comments cannot hold and which others hardly use.
const separator = "\x1f"

// fields are squeue's, printed whole (width 0), the texts that people choose last.
// exit_code is the raw wait status; there is no letter of --format for it.
var fields = []string{"JobID", "State", "exit_code", "SubmitTime", "StartTime", "EndTime", "NodeList", "Reason", "Name", "Comment"}

// format is fields as --Format takes them.
func format() string {
	return strings.Join(fields, ":0"+separator+",") + ":0" + separator
}

// Jobs asks squeue once, for this user's jobs in all states.
func (s *Slurm) Jobs(ctx context.Context) ([]scheduler.Job, error) {
	a, err := s.run(ctx, "squeue", "", "--me", "--states=all", "--noheader", "--Format="+format())
	if err != nil || a.code != 0 {
		return nil, unreachable("list jobs", a, err)
	}
	return parseJobs(a.stdout)
}

// parseJobs reads what squeue printed. A line of another shape is a job of
// somebody with a line break or a separator in its name: not ours, passed over.
// When no line can be read, the answer is not squeue's.
func parseJobs(stdout string) ([]scheduler.Job, error) {
	var jobs []scheduler.Job
	bad := ""
	for line := range strings.Lines(stdout) {
		line = strings.TrimSuffix(line, "\n")
		if job, ok := parseJob(line); ok {
			jobs = append(jobs, job)
		} else if strings.TrimSpace(line) != "" {
			bad = line
		}
	}
	if len(jobs) == 0 && bad != "" {
		return nil, &scheduler.Error{Kind: scheduler.Unreachable, Op: "list jobs",
			Text: "squeue printed something else than jobs: " + strconv.Quote(bad[:min(len(bad), 200)])}
	}
	return jobs, nil
}

func parseJob(line string) (job scheduler.Job, ok bool) {
	f := strings.Split(line, separator)
	if len(f) != len(fields)+1 { // each field, the last one too, is followed by a separator
		return job, false
	}
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	if _, err := strconv.ParseUint(f[0], 10, 64); err != nil {
		return job, false
	}
	job = scheduler.Job{ID: f[0], State: scheduler.ParseState(f[1]), RawState: f[1], Submitted: parseTime(f[3]),
		Started: parseTime(f[4]), Node: known(f[6]), Reason: known(f[7]), Name: known(f[8]), Comment: known(f[9])}
	job.ExitCode, job.Signal = parseExit(f[2])
	if job.State.Ended() { // before, it is when the time limit will end it
		job.Ended = parseTime(f[5])
	}
	return job, true
}

// known drops Slurm's words for nothing.
func known(text string) string {
	switch text {
	case "None", "(null)", "N/A", "n/a":
		return ""
	}
	return text
}

// parseExit reads a wait status ("2304"), or "code:signal" as other commands
// print it.
func parseExit(text string) (code, signal int) {
	if a, b, ok := strings.Cut(text, ":"); ok {
		code, _ = strconv.Atoi(a)
		signal, _ = strconv.Atoi(b)
		return code, signal
	}
	status, err := strconv.Atoi(text)
	if err != nil {
		return 0, 0
	}
	return status >> 8 & 0xff, status & 0x7f
}

// parseTime reads seconds since 1970, or Slurm's standard format in local time
// where SLURM_TIME_FORMAT has no effect; zero for anything else.
func parseTime(text string) time.Time {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return time.Unix(n, 0)
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", text, time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}
