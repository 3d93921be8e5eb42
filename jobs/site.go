package jobs

import (
	"path/filepath"
	"time"
)

// Site is what the administrator decided about jobs. Names are Slurm's.
type Site struct {
	Partition   string        // of jobs that name none; "": the cluster's default
	Account     string        // likewise
	QoS         string        // likewise
	Constraint  string        // likewise
	Image       string        // of applications that name none, absolute path or host:PYTHON
	Images      []string      // patterns (path.Match) of images that a manifest may name; none: only Image
	HostImages  bool          // host:PYTHON is allowed: the back end runs without containers
	TimeLimit   time.Duration // of jobs that ask for none
	MaxTime     time.Duration // no job gets more; 0: no limit of ours
	MemoryBytes int64         // of jobs that ask for none; 0: the cluster's default
	// GPUTypes translates accelerator_type to a GRES type of the cluster.
	GPUTypes map[string]string
	// Options are patterns of the extra sbatch options a manifest may give.
	Options []string
	// MaxReplicas bounds one deployment.
	MaxReplicas int
}

// The numbers of design 7 and 8.
const (
	DefaultTimeLimit   = 4 * time.Hour
	DefaultMaxReplicas = 64
	memoryFloor        = 256 << 20 // bytes; Python and the agent need about half of it
	minWarning         = 60 * time.Second
	warningMargin      = 30 * time.Second
	defaultGrace       = 20 * time.Second
	defaultHealth      = 10 * time.Second
	defaultHealthLimit = 30 * time.Second
	defaultOngoing     = 5 // Ray Serve's max_ongoing_requests
)

func (s Site) withDefaults() Site {
	if s.TimeLimit == 0 {
		s.TimeLimit = DefaultTimeLimit
	}
	if s.MaxReplicas == 0 {
		s.MaxReplicas = DefaultMaxReplicas
	}
	return s
}

// allowsImage says whether a manifest may name this image.
func (s Site) allowsImage(image string) bool {
	return image == s.Image || matchesAny(s.Images, image)
}

func matchesAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if ok, err := filepath.Match(p, text); ok && err == nil {
			return true
		}
	}
	return false
}
