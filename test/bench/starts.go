package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// starts measures controller start -> service registered; the last controller
// goes on running. The first has an empty state directory and a workspace
// without artifacts.
func (s *stage) starts(ctx context.Context) error {
	for i := range s.Starts {
		if i > 0 {
			if err := s.Signal(syscall.SIGTERM); err != nil {
				return err
			}
		}
		begun := time.Now()
		if err := s.StartController(ctx); err != nil {
			return err
		}
		registered, err := s.registered()
		if err != nil {
			return err
		}
		s.found.Starts = append(s.found.Starts, registered.Sub(begun))
		if i > 0 {
			continue
		}
		if _, err := s.CLI(ctx, s.Token, "app", "save", "test/bench/app"); err != nil {
			return err
		}
	}
	s.say("%s: controller start -> service registered: %.3f s", s.found.Name, seconds(s.found.Starts))
	return nil
}

// registered is when the controller that started last says that the server
// has its service, from its log: looking from outside is less exact.
func (s *stage) registered() (time.Time, error) {
	log, err := s.StartLog()
	if err != nil {
		return time.Time{}, err
	}
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte(`:bioengine-worker"}`)) {
			stamp, _, _ := bytes.Cut(line, []byte("\t"))
			return time.Parse("2006-01-02T15:04:05.000Z0700", string(stamp))
		}
	}
	return time.Time{}, errors.New("the controller's log does not say when the service was registered")
}

// appID is the application that is called.
const appID = "bench"

// runs measures run_application -> RUNNING; the last run goes on.
func (s *stage) runs(ctx context.Context) error {
	s.say("%s: run_application -> RUNNING, %d times", s.found.Name, s.Runs)
	out, err := s.Python(ctx, s.Token, "test/bench/python/deploy.py", s.Workspace+"/bench", appID, strconv.Itoa(s.Runs))
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), &s.found.Runs); err != nil {
		return fmt.Errorf("read what deploy.py found: %w", err)
	}
	s.say("%s: %.2f s", s.found.Name, pick(s.found.Runs, func(r Run) float64 { return r.Running }))
	return nil
}

// stopApp ends the application as its user would, so that its job cleans up.
func (s *stage) stopApp(ctx context.Context) error {
	_, err := s.CLI(ctx, s.Token, "app", "stop", appID, "--wait")
	return err
}
