//go:build systems

package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stage is where a page is played: the reader's machine.
type stage struct {
	// command prepares a program in the reader's working directory and environment.
	command func(ctx context.Context, argv ...string) *exec.Cmd
	signal  func(*exec.Cmd, syscall.Signal) error // to a program that runs
	dir     string                                // for files that a page names, and for programs
	inside  func(path string) string              // a path below dir as command's programs see it
	stdin   string                                // what the reader types where a command asks
	log     func() string                         // what helps to understand a failure
}

const (
	blockLimit = 5 * time.Minute
	serveLimit = time.Minute
)

// play runs the blocks of a page in order; the first one that fails ends it.
func (s *stage) play(t *testing.T, file string) {
	t.Helper()
	var printed string
	var server *server
	defer func() { server.stop(t, s) }()
	for _, f := range read(t, file).fences {
		if f.Is("text") || f.Is("yaml") {
			continue // for the eye
		}
		ok := t.Run(fmt.Sprintf("line %d", f.Line), func(t *testing.T) {
			switch {
			case f.Target() != "":
				s.write(t, f)
			case f.Is("sh"):
				printed = s.run(t, f, "bash", "-euo", "pipefail", "-c", f.Text)
			case f.Is("sh", "serve"):
				server.stop(t, s)
				server = s.serve(t, f)
			case f.Is("python"):
				printed = s.run(t, f, "python3", s.program(t, f, "py"))
			case f.Is("js"):
				printed = s.run(t, f, "node", s.program(t, f, "cjs"))
			case f.Is("text", "output"):
				if err := match(f.Text, printed); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
		})
		if !ok {
			if s.log != nil {
				t.Log(s.log())
			}
			return
		}
	}
}

func (s *stage) write(t *testing.T, f Fence) {
	t.Helper()
	path := filepath.Join(s.dir, f.Target())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(f.Text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// program puts a block where its interpreter finds it.
func (s *stage) program(t *testing.T, f Fence, suffix string) string {
	t.Helper()
	name := fmt.Sprintf("line%d.%s", f.Line, suffix)
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(f.Text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.inside(name)
}

// run returns all that a block printed, on both streams as a reader sees it.
func (s *stage) run(t *testing.T, f Fence, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), blockLimit)
	defer cancel()
	cmd := s.command(ctx, argv...)
	cmd.Stdin = strings.NewReader(s.stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\nprinted\n%s", f, err, f.Text, out)
	}
	return string(out)
}

// server is a block that goes on.
type server struct {
	cmd    *exec.Cmd
	ended  chan error
	output *output
}

// output collects what a server prints while others read it.
type output struct {
	mu   sync.Mutex // guards the following fields
	text bytes.Buffer
	more chan struct{} // closed and replaced at each write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) get() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// serve starts a block and waits until it says that it serves.
func (s *stage) serve(t *testing.T, f Fence) *server {
	t.Helper()
	v := &server{
		cmd:   s.command(context.WithoutCancel(t.Context()), "bash", "-c", "exec "+f.Text),
		ended: make(chan error, 1), output: &output{more: make(chan struct{})},
	}
	v.cmd.Stdout, v.cmd.Stderr = v.output, v.output
	if err := v.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	go func() { v.ended <- v.cmd.Wait() }()
	limit := time.After(serveLimit)
	for {
		text, more := v.output.get()
		if strings.Contains(text, "service registered") {
			return v
		}
		select {
		case <-more:
		case err := <-v.ended:
			v.ended <- err
			t.Errorf("%s ended: %v\n%s", f, err, text)
			return v
		case <-limit:
			t.Errorf("%s does not serve\n%s", f, text)
			return v
		}
	}
}

// stop is the reader's Ctrl-C.
func (v *server) stop(t *testing.T, s *stage) {
	t.Helper()
	if v == nil {
		return
	}
	if err := s.signal(v.cmd, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	select {
	case err := <-v.ended:
		if text, _ := v.output.get(); err != nil || strings.Contains(text, "WARNING: DATA RACE") {
			t.Errorf("the server ended: %v\n%s", err, text)
		}
	case <-time.After(serveLimit):
		t.Error("the server does not end")
	}
}
