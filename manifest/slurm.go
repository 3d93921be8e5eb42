package manifest

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Slurm is the manifest's `slurm:` block, or one deployment's part of it: wishes
// that win over the decorators; the site's policy wins over them (design 8).
// Zero values and nil mean "not said".
type Slurm struct {
	Partition, QoS, Account, Constraint, Reservation string

	Image       string
	Time        time.Duration
	CPUs        int
	MemoryBytes int64
	GPUs        *float64 // 0 asks for none
	GPUType     string   // of "gpus: a100:2"
	Exclusive   *bool
	Nice        *int
	Options     []string // further options of sbatch, each beginning with "-"

	Deployments map[string]*Slurm // by class
	Places      map[string]Place  // where each key of this block is written
}

// For returns what holds for one deployment: its own part over the block's.
// A nil block gives the zero value.
func (s *Slurm) For(class string) Slurm {
	if s == nil {
		return Slurm{}
	}
	out := *s
	out.Deployments = nil
	out.Places = map[string]Place{}
	for key, place := range s.Places {
		out.Places[key] = place
	}
	own := s.Deployments[class]
	if own == nil {
		return out
	}
	for key, place := range own.Places {
		out.Places[key] = place
		own.overlay(&out, key)
	}
	return out
}

// overlay copies one key that is set in s.
func (s *Slurm) overlay(out *Slurm, key string) {
	switch key {
	case "time":
		out.Time = s.Time
	case "cpus":
		out.CPUs = s.CPUs
	case "memory":
		out.MemoryBytes = s.MemoryBytes
	case "gpus":
		out.GPUs, out.GPUType = s.GPUs, s.GPUType
	case "exclusive":
		out.Exclusive = s.Exclusive
	case "nice":
		out.Nice = s.Nice
	case "options":
		out.Options = s.Options
	default:
		if from := s.name(key); from != nil {
			*out.name(key) = *from
		}
	}
}

// name returns the field of a key whose value is a plain name.
func (s *Slurm) name(key string) *string {
	switch key {
	case "partition":
		return &s.Partition
	case "qos":
		return &s.QoS
	case "account":
		return &s.Account
	case "constraint":
		return &s.Constraint
	case "reservation":
		return &s.Reservation
	case "image":
		return &s.Image
	}
	return nil
}

var slurmKeys = []string{
	"partition", "qos", "account", "constraint", "reservation", "image",
	"time", "cpus", "memory", "gpus", "exclusive", "nice", "options", "deployments",
}

func (p *parser) readSlurm(app *Application) *Slurm {
	f, ok := p.fields["slurm"]
	if !ok || resolveAlias(f.value).ShortTag() == "!!null" {
		return nil
	}
	return p.readSlurmBlock(resolveAlias(f.value), "slurm", app)
}

// readSlurmBlock reads the block, or with a nil application one deployment's
// part of it.
func (p *parser) readSlurmBlock(n *yaml.Node, path string, app *Application) *Slurm {
	if n.Kind != yaml.MappingNode {
		p.wrongType(path, "a mapping", n)
		return nil
	}
	fields, err := p.document.fields(n, 0)
	if err != nil {
		p.problems.merge(err)
		return nil
	}
	s := &Slurm{Places: map[string]Place{}}
	for _, f := range fields {
		value := resolveAlias(f.value)
		switch {
		case f.name == "deployments" && app != nil:
			s.Deployments = p.readSlurmDeployments(value, app)
		case f.name == "deployments" || !slices.Contains(slurmKeys, f.name):
			problem := p.problems.add(CodeSlurm, p.place(f.key), "Unknown key '%s' in the manifest's '%s' block.", clip(f.name), path)
			problem.Hint = "Known keys: " + strings.Join(slurmKeys, ", ") + "."
		default:
			if value.ShortTag() == "!!null" {
				continue // `qos:` without a value says nothing
			}
			s.Places[f.name] = p.place(f.key)
			p.readSlurmKey(s, f.name, path+"."+f.name, value)
		}
	}
	return s
}

func (p *parser) readSlurmDeployments(n *yaml.Node, app *Application) map[string]*Slurm {
	const path = "slurm.deployments"
	if n.Kind != yaml.MappingNode {
		p.wrongType(path, "a mapping of class names", n)
		return nil
	}
	fields, err := p.document.fields(n, 0)
	if err != nil {
		p.problems.merge(err)
		return nil
	}
	out := map[string]*Slurm{}
	for _, f := range fields {
		if app.Deployment(f.name) == nil {
			p.problems.add(CodeSlurm, p.place(f.key), "'%s' in the manifest's '%s' block is not the class of a deployment.", clip(f.name), path)
			continue
		}
		out[f.name] = p.readSlurmBlock(resolveAlias(f.value), path+"."+f.name, nil)
	}
	return out
}

func (p *parser) readSlurmKey(s *Slurm, key, path string, n *yaml.Node) {
	var complaint string
	switch key {
	case "time":
		s.Time, complaint = slurmTime(n)
	case "cpus":
		s.CPUs, complaint = slurmCPUs(n)
	case "memory":
		s.MemoryBytes, complaint = slurmMemory(n)
	case "gpus":
		s.GPUs, s.GPUType, complaint = slurmGPUs(n)
	case "exclusive":
		s.Exclusive, complaint = slurmBool(n)
	case "nice":
		s.Nice, complaint = slurmNice(n)
	case "options":
		s.Options, complaint = slurmOptions(n)
	default:
		*s.name(key), complaint = slurmName(key, n)
	}
	if complaint != "" {
		p.problems.add(CodeSlurm, p.place(n), "Field '%s' of the manifest %s, but is %s.", path, complaint, describeNode(n))
	}
}
