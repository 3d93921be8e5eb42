package scheduler

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of a Spec's texts. Slurm takes more; what we send is far below, and what
// is longer is a mistake.
const (
	MaxName    = 128       // bytes
	MaxComment = 512       // bytes
	MaxScript  = 256 << 10 // bytes; Slurm's own limit is 4 MiB by default
	MaxWarn    = 65535 * time.Second
	maxOptions = 32
	maxOption  = 1024 // bytes
)

// Spec is one job to submit. Every value is exact: the planner has rounded and
// applied the site's policy before.
type Spec struct {
	// Name and Comment are shown by the batch system's tools. Comment carries the
	// UUIDs by which a job is recognised. Printable ASCII without '|', no space at
	// either end.
	Name, Comment string
	// Script is a complete bash script. It holds no secret: the batch system
	// stores it where others may read.
	Script string
	// WorkDir and Output are absolute. WorkDir and the folder of Output exist,
	// here and where the job runs; Output is appended to.
	WorkDir, Output string

	// Empty means the site's default.
	Partition, Account, QoS, Constraint, Reservation string

	CPUs      int
	MemoryMiB int64 // 0: the site's default
	GPUs      int
	GPUType   string // only with GPUs; empty: any

	// TimeLimit is rounded up to whole minutes; 0: the site's default. WarnBefore
	// its end the batch process gets SIGTERM (up to a minute earlier on Slurm).
	TimeLimit, WarnBefore time.Duration

	Exclusive bool
	Nice      *int
	// Options are further options of the form --name or --name=value, vetted by
	// the site's policy. Those that would undo what the back end relies on are
	// refused here all the same.
	Options []string
}

// Minutes is the time limit in whole minutes, rounded up.
func (s Spec) Minutes() int64 {
	return int64((s.TimeLimit + time.Minute - 1) / time.Minute)
}

// Validate checks what can be checked without asking the batch system. The error
// is an *Error of kind Refused.
func (s Spec) Validate() error {
	for _, check := range []func() error{s.checkTexts, s.checkScript, s.checkPaths, s.checkAmounts, s.checkOptions} {
		if err := check(); err != nil {
			return &Error{Kind: Refused, Op: "submit job " + s.printableName(), Text: err.Error()}
		}
	}
	return nil
}

// printableName is safe in an error text even when the name is what is wrong.
func (s Spec) printableName() string {
	if s.Name == "" || !printable(s.Name) {
		return fmt.Sprintf("%.40q", s.Name)
	}
	return s.Name
}

func (s Spec) checkTexts() error {
	for _, t := range []struct {
		what, value string
		max         int
	}{{"name", s.Name, MaxName}, {"comment", s.Comment, MaxComment}} {
		switch v := t.value; {
		case v == "":
			return fmt.Errorf("the job's %s is empty", t.what)
		case len(v) > t.max:
			return fmt.Errorf("the job's %s has %d bytes; %d are allowed", t.what, len(v), t.max)
		case !printable(v) || strings.Contains(v, "|") || strings.TrimSpace(v) != v:
			return fmt.Errorf("the job's %s %.80q must be printable ASCII without '|' and without spaces at its ends", t.what, v)
		}
	}
	return nil
}

func (s Spec) checkScript() error {
	switch {
	case !strings.HasPrefix(s.Script, "#!/"):
		return fmt.Errorf("the job's script does not start with #!/")
	case len(s.Script) > MaxScript:
		return fmt.Errorf("the job's script has %d bytes; %d are allowed", len(s.Script), MaxScript)
	case strings.ContainsAny(s.Script, "\x00\r"):
		return fmt.Errorf("the job's script holds a NUL or a carriage return")
	case strings.Contains(s.Script, "\n#SBATCH"):
		return fmt.Errorf("the job's script holds #SBATCH lines; use the fields of the request")
	}
	return nil
}

func (s Spec) checkPaths() error {
	for what, path := range map[string]string{"working directory": s.WorkDir, "output file": s.Output} {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path || !printable(path) {
			return fmt.Errorf("the job's %s %.200q must be an absolute, clean path of printable ASCII", what, path)
		}
	}
	// In Slurm's output patterns % starts a replacement and \ switches them off.
	if strings.ContainsAny(s.Output, `%\`) {
		return fmt.Errorf(`the job's output file %.200q must not contain %% or \`, s.Output)
	}
	return nil
}

func (s Spec) checkAmounts() error {
	switch {
	case s.CPUs < 1:
		return fmt.Errorf("the job asks for %d CPUs; at least 1 is needed", s.CPUs)
	case s.MemoryMiB < 0 || s.GPUs < 0 || s.TimeLimit < 0 || s.WarnBefore < 0:
		return fmt.Errorf("memory, GPUs, time limit and warning must not be negative")
	case s.WarnBefore > MaxWarn:
		return fmt.Errorf("a warning of %s is more than %s before the end", s.WarnBefore, MaxWarn)
	case s.TimeLimit > 0 && s.WarnBefore >= s.TimeLimit:
		return fmt.Errorf("the time limit %s is not longer than its warning of %s", s.TimeLimit, s.WarnBefore)
	case s.GPUType != "" && s.GPUs == 0:
		return fmt.Errorf("a GPU type (%.40q) is given but no GPU asked for", s.GPUType)
	}
	return nil
}

var (
	option  = regexp.MustCompile(`^--[a-z][a-z0-9-]*(=.*)?$`)
	gpuType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// forbidden options: they would make several jobs or none, wait, run as somebody
// else or elsewhere, or hand over an environment. (The back end's own options
// come last and so win over a second one of the same name.)
var forbidden = []string{
	"array", "clusters", "export", "export-file", "get-user-env", "gid", "help", "ignore-pbs",
	"requeue", "test-only", "uid", "usage", "version", "wait", "wait-all-nodes", "wrap",
}

func (s Spec) checkOptions() error {
	for what, value := range map[string]string{"partition": s.Partition, "account": s.Account, "QoS": s.QoS,
		"constraint": s.Constraint, "reservation": s.Reservation} {
		if !printable(value) || strings.ContainsAny(value, " ") || len(value) > maxOption {
			return fmt.Errorf("the %s %.80q must be printable ASCII without spaces", what, value)
		}
	}
	if s.GPUType != "" && !gpuType.MatchString(s.GPUType) {
		return fmt.Errorf("the GPU type %.40q is not a name", s.GPUType)
	}
	if len(s.Options) > maxOptions {
		return fmt.Errorf("%d extra options are given; %d are allowed", len(s.Options), maxOptions)
	}
	for _, o := range s.Options {
		name, _, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		switch {
		case !option.MatchString(o) || !printable(o) || len(o) > maxOption:
			return fmt.Errorf("the extra option %.80q is not of the form --name or --name=value", o)
		case slices.Contains(forbidden, name):
			return fmt.Errorf("the extra option --%s is not allowed", name)
		}
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
