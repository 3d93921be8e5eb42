package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

// calls measures the application beside the same class served by plain
// hypha-rpc through the same server.
func (s *stage) calls(ctx context.Context) error {
	plain, stop, err := s.servePlain(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, m := range []struct {
		what, text string
		time       time.Duration
		into       *Pair
	}{
		{"small", "small calls, ms", s.Small, &s.found.Small},
		{"load", "32 callers, calls/s", s.Load, &s.found.Rates},
		{"array", "5 MiB array, ms", s.Array, &s.found.Arrays},
	} {
		if err := s.compare(ctx, m.what, plain, m.time, m.into); err != nil {
			return err
		}
		s.say("%s: %s: median %.2f, plain %.2f", s.found.Name, m.text, median(m.into.Ours), median(m.into.Plain))
	}
	return nil
}

// compare runs one measurement of calls.py.
func (s *stage) compare(ctx context.Context, what, plain string, d time.Duration, into *Pair) error {
	ours := s.found.Runs[len(s.found.Runs)-1].Service
	pid, err := s.ControllerPID()
	if err != nil {
		return err
	}
	before, err := readUsage(pid)
	if err != nil {
		return err
	}
	out, err := s.Python(ctx, s.Token, "test/bench/python/calls.py", what, ours, plain, fmt.Sprint(d.Seconds()))
	if err != nil {
		return err
	}
	var samples [2][]float64
	if err := json.Unmarshal([]byte(out), &samples); err != nil {
		return fmt.Errorf("read what calls.py found: %w", err)
	}
	after, err := readUsage(pid)
	*into = Pair{Ours: samples[0], Plain: samples[1], Controller: after.since(before)}
	return err
}

// servePlain starts plain.py where the controller runs, with the Python that
// applications get there: this machine's, or the image's. It returns the id
// of its service.
func (s *stage) servePlain(ctx context.Context) (id string, stop func(), err error) {
	for file, from := range map[string]string{"plain.py": "test/bench/python/plain.py", "class.py": "test/bench/app/bench.py"} {
		if err := copyFile(filepath.Join(s.Dir, file), from); err != nil {
			return "", nil, err
		}
	}
	python, err := s.plainPython(ctx)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := s.Command(ctx, append(python, s.Home("plain.py"), s.Home("class.py"))...)
	cmd.Env = append(cmd.Env, "SERVER_URL="+s.Hypha.URL, "TOKEN="+s.Token)
	stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}
	id, err = firstLine(cmd)
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("serve the class with plain hypha-rpc: %w", err)
	}
	return id, stop, nil
}

func (s *stage) plainPython(ctx context.Context) ([]string, error) {
	if s.Cluster != nil {
		return []string{"apptainer", "--silent", "exec", s.Cluster.Image(), "python3"}, nil
	}
	python, err := bed.Python(ctx)
	return []string{python}, err
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// firstLine starts a program and waits for the first line that it prints.
func firstLine(cmd *exec.Cmd) (string, error) {
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ended := cmd.Wait() // it has printed all it will
		return "", fmt.Errorf("%w\n%s", errors.Join(err, ended), site.Tail([]byte(said.String()), 2000))
	}
	return strings.TrimSpace(line), nil
}
