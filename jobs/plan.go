package jobs

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Plan is what an application will ask of the cluster, before any job exists.
type Plan struct {
	Application string
	Allocations []Allocation
	Warnings    []string
}

// Allocation is one job to be. Today it runs one replica of one deployment.
type Allocation struct {
	Deployment string
	Replica    int // 0..n-1 within the deployment
	Image      string
	Spec       scheduler.Spec // without script, paths, name and comment
	Values     []Value        // every value of Spec and where it came from
}

// Value explains one value of a plan.
type Value struct {
	Name, Flag string // "memory", "--mem=1024M"
	Origin     string // "main.py:12", "manifest.yaml slurm block", "site default"
	Note       string // how it was rounded or why it was changed
}

// MakePlan translates ray_actor_options and the manifest's slurm block into
// jobs (design 8). It asks nobody and changes nothing. All problems are
// reported together.
func MakePlan(app Application, site Site) (Plan, error) {
	site = site.withDefaults()
	p := Plan{Application: app.ID}
	var problems []error
	for _, d := range app.Deployments {
		a, err := planDeployment(app, d, site)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for i := range replicaCount(d) {
			a.Replica = i
			p.Allocations = append(p.Allocations, a)
		}
		for _, w := range d.Options.Warnings {
			p.Warnings = append(p.Warnings, d.Name+": "+w)
		}
	}
	return p, errors.Join(problems...)
}

// replicaCount is the number of replicas a deployment starts with. An
// autoscaled one starts at its lower bound, but never below one.
func replicaCount(d Deployment) int {
	if d.Options.NumReplicas.State == manifest.Constant {
		return max(1, d.Options.NumReplicas.Value)
	}
	for _, key := range []string{"initial_replicas", "min_replicas"} {
		if n, ok := number(d.Options.Autoscaling.Value[key]); ok && n >= 1 {
			return int(n)
		}
	}
	return 1
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// planner collects the values of one deployment's job.
type planner struct {
	app    Application
	d      Deployment
	site   Site
	wishes manifest.Slurm // the manifest's slurm block as it holds for d
	a      Allocation
	errs   []error
}

func planDeployment(app Application, d Deployment, site Site) (Allocation, error) {
	p := &planner{app: app, d: d, site: site, wishes: app.Slurm.For(d.Class), a: Allocation{Deployment: d.Name}}
	if n := replicaCount(d); n > site.MaxReplicas {
		p.refuse(d.Options.NumReplicas.Place, "%d replicas are more than the %d this site allows", n, site.MaxReplicas)
	}
	p.cpus()
	p.memory()
	p.gpus()
	p.placement()
	p.time()
	p.image()
	return p.a, errors.Join(p.errs...)
}

func (p *planner) note(name, flag, origin, note string) {
	p.a.Values = append(p.a.Values, Value{Name: name, Flag: flag, Origin: origin, Note: note})
}

// wished is where a key of the slurm block stands.
func (p *planner) wished(key string) string { return p.wishes.Places[key].String() }

func (p *planner) refuse(at manifest.Place, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at.File != "" {
		text += " (" + at.String() + ")"
	}
	p.errs = append(p.errs, &RequestError{Deployment: p.d.Name, Text: text})
}

// numberOf reads a resource of the decorator: its value, where it stands, and
// a note when it is not a constant.
func numberOf(v manifest.Value[float64], fallback float64, fallbackOrigin string) (value float64, origin, note string) {
	switch v.State {
	case manifest.Constant:
		return v.Value, v.Place.String(), ""
	case manifest.Runtime:
		return fallback, fallbackOrigin, fmt.Sprintf("%s: known only at run time because %s", v.Place, v.Why)
	}
	return fallback, fallbackOrigin, ""
}

func (p *planner) cpus() {
	want, origin, note := numberOf(p.d.Options.NumCPUs, 1, "default")
	if p.wishes.CPUs > 0 {
		want, origin, note = float64(p.wishes.CPUs), p.wished("cpus"), ""
	}
	n := int(max(1, math.Ceil(want)))
	if float64(n) != want {
		note = fmt.Sprintf("%g rounded up", want)
	}
	p.a.Spec.CPUs = n
	p.note("CPUs", fmt.Sprintf("--cpus-per-task=%d", n), origin, note)
}

func (p *planner) memory() {
	want, origin, note := numberOf(p.d.Options.MemoryBytes, float64(p.site.MemoryBytes), "site default")
	if p.wishes.MemoryBytes > 0 {
		want, origin, note = float64(p.wishes.MemoryBytes), p.wished("memory"), ""
	}
	if want <= 0 {
		p.note("memory", "", "cluster's default", note)
		return
	}
	if want < memoryFloor {
		note = fmt.Sprintf("%.0f bytes raised to the runtime's floor", want)
		want = memoryFloor
	}
	mib := int64(math.Ceil(want / (1 << 20)))
	p.a.Spec.MemoryMiB = mib
	p.note("memory", fmt.Sprintf("--mem=%dM", mib), origin, note)
}

func (p *planner) gpus() {
	want, origin, note := numberOf(p.d.Options.NumGPUs, 0, "default")
	if p.wishes.GPUs != nil {
		want, origin, note = *p.wishes.GPUs, p.wished("gpus"), ""
	}
	if p.app.DisableGPU && want > 0 {
		p.note("GPUs", "", "disable_gpu", fmt.Sprintf("%g asked by %s", want, origin))
		return
	}
	if want <= 0 {
		p.note("GPUs", "", origin, note)
		return
	}
	n := int(math.Ceil(want))
	if float64(n) != want {
		note = fmt.Sprintf("%g rounded up: whole GPUs only", want)
	}
	p.a.Spec.GPUs = n
	flag := fmt.Sprintf("--gres=gpu:%d", n)
	if kind := p.gpuType(); kind != "" {
		p.a.Spec.GPUType = kind
		flag = fmt.Sprintf("--gres=gpu:%s:%d", kind, n)
	}
	p.note("GPUs", flag, origin, note)
}

func (p *planner) gpuType() string {
	if p.wishes.GPUType != "" {
		return p.wishes.GPUType
	}
	v := p.d.Options.AcceleratorType
	if v.State != manifest.Constant || v.Value == "" {
		return ""
	}
	kind, ok := p.site.GPUTypes[v.Value]
	if !ok {
		p.refuse(v.Place, "accelerator_type %q is not known at this site; ask the administrator to add it to gpu_types", v.Value)
	}
	return kind
}

// placement takes partition, account and the like: from the manifest if it
// names them, else the site's.
func (p *planner) placement() {
	s, w := &p.a.Spec, p.wishes
	for _, f := range []struct {
		key          string
		to           *string
		wish, policy string
	}{
		{"partition", &s.Partition, w.Partition, p.site.Partition},
		{"account", &s.Account, w.Account, p.site.Account},
		{"qos", &s.QoS, w.QoS, p.site.QoS},
		{"constraint", &s.Constraint, w.Constraint, p.site.Constraint},
		{"reservation", &s.Reservation, w.Reservation, ""},
	} {
		value, origin := f.wish, p.wished(f.key)
		if value == "" {
			value, origin = f.policy, "site default"
		}
		if value != "" {
			*f.to = value
			p.note(f.key, "--"+f.key+"="+value, origin, "")
		}
	}
	if w.Exclusive != nil && *w.Exclusive {
		s.Exclusive = true
		p.note("exclusive", "--exclusive", p.wished("exclusive"), "")
	}
	if w.Nice != nil {
		s.Nice = w.Nice
		p.note("nice", fmt.Sprintf("--nice=%d", *w.Nice), p.wished("nice"), "")
	}
	for _, o := range w.Options {
		if !matchesAny(p.site.Options, o) {
			p.refuse(w.Places["options"], "the Slurm option %q of the manifest is not allowed at this site", o)
			continue
		}
		s.Options = append(s.Options, o)
		p.note("option", o, p.wished("options"), "")
	}
}

func (p *planner) time() {
	limit, origin := p.site.TimeLimit, "site default"
	if p.wishes.Time > 0 {
		limit, origin = p.wishes.Time, p.wished("time")
	}
	note := ""
	if p.site.MaxTime > 0 && limit > p.site.MaxTime {
		note = fmt.Sprintf("%s cut to the site's limit", limit)
		limit = p.site.MaxTime
	}
	warn := max(minWarning, grace(p.d)+warningMargin)
	if limit <= warn {
		p.refuse(p.wishes.Places["time"], "a time limit of %s is too short: the replica needs %s of it to shut down", limit, warn)
		return
	}
	p.a.Spec.TimeLimit, p.a.Spec.WarnBefore = limit, warn
	p.note("time limit", fmt.Sprintf("--time=%d", p.a.Spec.Minutes()), origin, note)
	p.note("warning", fmt.Sprintf("--signal=B:TERM@%d", int(warn.Seconds())), "graceful_shutdown_timeout_s", "")
}

// grace is how long a replica may take to end by itself.
func grace(d Deployment) time.Duration {
	return orDuration(d.Options.GracefulShutdownTimeout, defaultGrace)
}

func orDuration(v manifest.Value[time.Duration], fallback time.Duration) time.Duration {
	if v.State == manifest.Constant && v.Value > 0 {
		return v.Value
	}
	return fallback
}

func (p *planner) image() {
	image, origin := p.site.Image, "site default"
	if p.wishes.Image != "" {
		image, origin = p.wishes.Image, p.wished("image")
	}
	switch {
	case image == "":
		p.refuse(manifest.Place{}, "no image is configured: set jobs.image to a SIF file with Python 3.11 and hypha-rpc")
	case strings.HasPrefix(image, "host:") != p.site.HostImages:
		p.refuse(p.wishes.Places["image"], "the image %q does not fit the back end: host:PYTHON is for the local one, which takes nothing else", image)
	case !p.site.allowsImage(image):
		p.refuse(p.wishes.Places["image"], "the image %q of the manifest is not allowed at this site", image)
	}
	p.a.Image = image
	p.note("image", image, origin, "")
}
