package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Partition is one queue and what its nodes offer.
type Partition struct {
	Name    string
	Default bool
	Up      bool          // accepts jobs
	MaxTime time.Duration // 0: no limit
	Shapes  []Shape       // the kinds of nodes in it
}

// Shape is one kind of node.
type Shape struct {
	CPUs      int
	MemoryMiB int64
	GPUs      int
	GPUTypes  map[string]int // count by type, lower case; "" for GPUs without one
}

// Fits says whether spec can ever run in one of the partitions, as far as a list
// of nodes can tell: nil, or an *Error of kind Refused that names what is
// available. An empty list of partitions proves nothing and refuses nothing.
func Fits(spec Spec, partitions []Partition) error {
	if len(partitions) == 0 {
		return nil
	}
	refuse := func(text, hint string) error {
		return &Error{Kind: Refused, Op: "submit job " + spec.printableName(), Text: text, Hint: hint}
	}
	byName := make(map[string]Partition, len(partitions))
	var chosen []string // Slurm takes a list of partitions and uses the first that fits
	for _, p := range partitions {
		byName[p.Name] = p
		if spec.Partition == "" && p.Default {
			chosen = append(chosen, p.Name)
		}
	}
	if spec.Partition != "" {
		chosen = strings.Split(spec.Partition, ",")
	}
	known := strings.Join(slices.Sorted(maps.Keys(byName)), ", ")
	if len(chosen) == 0 {
		return refuse("no partition is named and the site has no default one", "name one of: "+known)
	}
	var reasons []string
	for _, name := range chosen {
		p, ok := byName[name]
		if !ok {
			return refuse(fmt.Sprintf("there is no partition %.80q", name), "name one of: "+known)
		}
		reason := p.misfit(spec)
		if reason == "" {
			return nil
		}
		reasons = append(reasons, reason)
	}
	return refuse(strings.Join(reasons, "; "), "ask for less, or name another partition: "+known)
}

// misfit is the reason why spec can never run in p, or "".
func (p Partition) misfit(spec Spec) string {
	if !p.Up {
		return fmt.Sprintf("partition %s does not accept jobs now", p.Name)
	}
	if limit := time.Duration(spec.Minutes()) * time.Minute; p.MaxTime > 0 && limit > p.MaxTime {
		return fmt.Sprintf("partition %s allows %s, the job asks for %s", p.Name, p.MaxTime, limit)
	}
	var best Shape
	for _, s := range p.Shapes {
		if s.holds(spec) {
			return ""
		}
		best.CPUs = max(best.CPUs, s.CPUs)
		best.MemoryMiB = max(best.MemoryMiB, s.MemoryMiB)
		best.GPUs = max(best.GPUs, s.GPUs)
	}
	return fmt.Sprintf("no node of partition %s has %s together (largest: %d CPUs, %d MiB, %d GPUs)",
		p.Name, spec.wishes(), best.CPUs, best.MemoryMiB, best.GPUs)
}

func (s Shape) holds(spec Spec) bool {
	gpus := s.GPUs
	if spec.GPUType != "" {
		gpus = s.GPUTypes[strings.ToLower(spec.GPUType)]
	}
	return s.CPUs >= spec.CPUs && s.MemoryMiB >= spec.MemoryMiB && gpus >= spec.GPUs
}

// wishes names what is asked of one node.
func (s Spec) wishes() string {
	parts := []string{fmt.Sprintf("%d CPUs", s.CPUs)}
	if s.MemoryMiB > 0 {
		parts = append(parts, fmt.Sprintf("%d MiB", s.MemoryMiB))
	}
	if s.GPUs > 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d GPUs %s", s.GPUs, s.GPUType)))
	}
	return strings.Join(parts, ", ")
}
