package sbatch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Partitions asks sinfo. Nodes of one kind come as one line (--exact keeps
// different kinds apart), also those that are down: they may come back.
func (s *Slurm) Partitions(ctx context.Context) ([]scheduler.Partition, error) {
	letters := strings.Join([]string{"%P", "%a", "%l", "%c", "%m", "%G"}, separator)
	a, err := s.run(ctx, "sinfo", "", "--noheader", "--all", "--exact", "--format="+letters)
	if err != nil || a.code != 0 {
		return nil, unreachable("list partitions", a, err)
	}
	return parsePartitions(a.stdout), nil
}

func parsePartitions(stdout string) []scheduler.Partition {
	var partitions []scheduler.Partition
	index := map[string]int{}
	for line := range strings.Lines(stdout) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), separator)
		if len(f) != 6 {
			continue
		}
		name, isDefault := strings.CutSuffix(strings.TrimSpace(f[0]), "*")
		i, seen := index[name]
		if !seen {
			i = len(partitions)
			index[name] = i
			partitions = append(partitions, scheduler.Partition{Name: name, Default: isDefault, Up: f[1] == "up", MaxTime: parseLimit(f[2])})
		}
		partitions[i].Shapes = append(partitions[i].Shapes, parseShape(f[3], f[4], f[5]))
	}
	return partitions
}

func parseShape(cpus, memory, gres string) scheduler.Shape {
	shape := scheduler.Shape{GPUTypes: map[string]int{}}
	shape.CPUs, _ = strconv.Atoi(strings.TrimRight(cpus, "+"))
	shape.MemoryMiB, _ = strconv.ParseInt(strings.TrimRight(memory, "+"), 10, 64)
	for _, item := range splitGres(gres) {
		kind, count := parseGres(item)
		if kind[0] == "gpu" {
			shape.GPUs += count
			shape.GPUTypes[strings.ToLower(kind[1])] += count
		}
	}
	return shape
}

// splitGres splits "gpu:a100:4(S:0,2),shard:8" at the commas outside brackets and
// drops the brackets.
func splitGres(text string) []string {
	var items []string
	var item strings.Builder
	depth := 0
	for _, r := range text + "," {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth > 0:
		case r == ',':
			items = append(items, item.String())
			item.Reset()
		default:
			item.WriteRune(r)
		}
	}
	return items
}

// parseGres reads name[:type][:count]; without a count there is one.
func parseGres(item string) (kind [2]string, count int) {
	parts := strings.Split(item, ":")
	count = 1
	if n, err := strconv.Atoi(parts[len(parts)-1]); err == nil && len(parts) > 1 {
		count, parts = n, parts[:len(parts)-1]
	}
	copy(kind[:], parts)
	return kind, count
}

// parseLimit reads [days-]hours:minutes:seconds and its shorter forms; 0 for
// "infinite" and whatever else.
func parseLimit(text string) time.Duration {
	days, clock, hasDays := strings.Cut(strings.TrimSpace(text), "-")
	if !hasDays {
		days, clock = "0", days
	}
	n, err := strconv.Atoi(days)
	if err != nil {
		return 0
	}
	limit := time.Duration(n) * 24 * time.Hour
	parts := strings.Split(clock, ":")
	units := []time.Duration{time.Hour, time.Minute, time.Second}
	if !hasDays { // minutes, or minutes:seconds
		units = units[max(0, min(1, 3-len(parts))):]
	}
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || i >= len(units) {
			return 0
		}
		limit += time.Duration(v) * units[i]
	}
	return limit
}
