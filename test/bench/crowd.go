package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// crowdID is an application whose jobs are held in the queue of the real
// Slurm: so many agents in containers do not fit on one machine. Their agents
// live in this process and do with the controller what real ones do.
const crowdID = "crowd"

// joining is how many agents dial at the same time.
const joining = 8

// crowd measures a fresh controller with many connected agents.
func (s *stage) crowd(ctx context.Context) error {
	ready, err := s.lastReady(ctx)
	if err != nil {
		return err
	}
	if err := s.stopApp(ctx); err != nil {
		return err
	}
	if err := s.renew(ctx); err != nil {
		return err
	}
	s.say("%s: submitting %d held jobs and letting their agents join", s.found.Name, s.Agents)
	begun := time.Now()
	if err := s.runCrowd(ctx); err != nil {
		return err
	}
	agents := &agents{stage: s, ready: ready}
	defer agents.leave()
	if err := agents.join(ctx, s.Agents); err != nil {
		return err
	}
	if err := s.awaitCrowd(ctx); err != nil {
		return err
	}
	found := Crowd{JoinSeconds: time.Since(begun).Seconds()}
	s.say("%s: %d replicas are RUNNING after %.0f s; watching their controller for %s", s.found.Name, s.Agents, found.JoinSeconds, s.Idle)
	if found.Usage, err = s.watchCrowd(ctx, agents); err != nil {
		return err
	}
	s.found.Crowd = &found
	s.say("%s: %.1f MB, %.2f %% of a core", s.found.Name, mb(found.Usage.RSSBytes), found.Usage.cpuPercent())
	return nil
}

// renew starts the controller afresh, so that memory of earlier measurements
// does not count.
func (s *stage) renew(ctx context.Context) error {
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.StartController(ctx)
}

// runCrowd uploads the application with as many replicas as asked for, and
// runs it.
func (s *stage) runCrowd(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "bioengine-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	code, err := os.ReadFile("test/bench/crowd/crowd.py")
	if err != nil {
		return err
	}
	code = replicas.ReplaceAll(code, fmt.Appendf(nil, "num_replicas=%d", s.Agents))
	if err := os.WriteFile(filepath.Join(folder, "crowd.py"), code, 0o644); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(folder, "manifest.yaml"), "test/bench/crowd/manifest.yaml"); err != nil {
		return err
	}
	if _, err := s.CLI(ctx, s.Token, "app", "save", folder); err != nil {
		return err
	}
	_, err = s.CLI(ctx, s.Token, "app", "run", crowdID, "--id", crowdID)
	return err
}

// awaitCrowd waits until the status shows all replicas as RUNNING.
func (s *stage) awaitCrowd(ctx context.Context) error {
	for {
		out, err := s.CLI(ctx, s.Token, "app", "status", crowdID, "--json")
		if err != nil {
			return err
		}
		var all map[string]struct {
			Deployments map[string]struct {
				States map[string]int `json:"replica_states"`
			}
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			return fmt.Errorf("read the status of the crowd: %w", err)
		}
		for _, d := range all[crowdID].Deployments {
			if d.States["RUNNING"] == s.Agents {
				return nil
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watchCrowd looks at the controller once it is quiet, and makes sure that
// all agents stayed.
func (s *stage) watchCrowd(ctx context.Context, a *agents) (Usage, error) {
	if _, err := s.watch(ctx, s.Settled); err != nil {
		return Usage{}, err
	}
	used, err := s.watch(ctx, s.Idle)
	if lost := a.lost(); lost > 0 {
		return used, fmt.Errorf("%d of %d agents lost their link", lost, s.Agents)
	}
	return used, err
}

// lastReady is what the replica of the application said when it was ready, as
// the controller stores it: the crowd says the same.
func (s *stage) lastReady(ctx context.Context) (*link.Ready, error) {
	text, err := queryState(ctx, s.stateDir(), `SELECT ready FROM allocations WHERE length(ready) > 0 ORDER BY created DESC LIMIT 1`)
	if err != nil {
		return nil, fmt.Errorf("read what the replica offered: %w", err)
	}
	var ready link.Ready
	return &ready, json.Unmarshal(text, &ready)
}

func (s *stage) stateDir() string { return filepath.Join(s.Dir, ".bioengine", "hpc") }
