package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

// stageLimit ends a stage that hangs.
const stageLimit = 15 * time.Minute

// stage is one back end under measurement.
type stage struct {
	*bench
	*site.Site
	found Stage
}

// unlimited lifts the server's limits of messages and requests, which hold for
// plain clients and ours alike; they, not the programs, would be measured.
var unlimited = map[string]string{
	"HYPHA_WS_MSG_RATE_LIMIT": "1000000", "HYPHA_WS_MSG_BURST_LIMIT": "1000000",
	"HYPHA_HTTP_RATE_LIMIT": "1000000", "HYPHA_HTTP_BURST_LIMIT": "1000000",
}

func (b *bench) stage(ctx context.Context, slurm bool) (found *Stage, err error) {
	ctx, cancel := context.WithTimeout(ctx, stageLimit)
	defer cancel()
	s := &stage{bench: b, found: Stage{Name: "local"}}
	if slurm {
		s.found.Name = "slurm"
	}
	s.say("starting Hypha with its limits raised%s", map[bool]string{true: ", and a Slurm cluster with Apptainer"}[slurm])
	s.Site, err = site.Start(ctx, site.Options{Slurm: slurm, Bin: b.bin, Hypha: unlimited, Config: map[string]any{
		"hypha": map[string]any{"message_rate": 1000000, "message_burst": 1000000},
		"jobs":  map[string]any{"max_replicas": b.Agents, "options": []string{"--hold"}},
		"log":   map[string]any{"level": "info"},
	}})
	if err != nil {
		return nil, err
	}
	defer func() {
		s.say("%s: stopping", s.found.Name)
		err = errors.Join(err, s.Stop())
	}()
	if err := s.measure(ctx); err != nil {
		log, _ := os.ReadFile(s.ControllerLog())
		return nil, fmt.Errorf("%w\nend of the controller's log:\n%s", err, site.Tail(log, 4000))
	}
	return &s.found, nil
}

// measure takes all figures of a stage, those of a fresh controller first.
func (s *stage) measure(ctx context.Context) error {
	steps := []func(context.Context) error{s.versions, s.starts, s.runs, s.calls, s.stopApp}
	if s.Cluster != nil {
		steps = []func(context.Context) error{s.versions, s.starts, s.idle, s.runs, s.calls, s.crowd}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) versions(ctx context.Context) error {
	var lines bytes.Buffer
	if err := bed.PrintVersions(ctx, &lines, s.Cluster, s.Hypha); err != nil {
		return err
	}
	s.bench.found.Versions = strings.Split(strings.TrimSpace(lines.String()), "\n")
	return nil
}
