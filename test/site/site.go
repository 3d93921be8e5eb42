// Package site starts the whole product on real systems: a Hypha server, for
// Slurm a cluster in namespaces, and our controller in it. The end-to-end
// tests, the demos and the benchmarks stand on it.
package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// Options say what to start.
type Options struct {
	Slurm   bool              // sbatch and Apptainer on a cluster; else the local back end
	Bin     string            // folder of the two programs, e.g. bin or bin/race of the checkout
	Hypha   map[string]string // environment of the Hypha server
	Cluster bed.ClusterConfig
	Config  map[string]any // sections of the controller's configuration, merged over the harness's own
	Log     io.Writer      // progress; nil: none
}

// Site is a running Hypha server with a controller. Worker is the controller's
// token; researchers get theirs from Token.
type Site struct {
	Hypha     *bed.Hypha
	Cluster   *bed.Cluster // nil with the local back end
	Workspace string
	WorkerID  string // <workspace>/bioengine-worker
	Dir       string // as this machine sees the controller's home
	Token     string // the worker's own token
	options   Options

	mu         sync.Mutex // guards the following fields
	controller *exec.Cmd
	exited     chan struct{}
	exitErr    error
	logBegins  int64 // length of the log when the controller was launched
}

const workerUser = "alice"

// Start starts the Hypha server and the cluster, not yet the controller.
func Start(ctx context.Context, o Options) (s *Site, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	s = &Site{options: o, Workspace: "ws-user-" + workerUser}
	s.WorkerID = s.Workspace + "/bioengine-worker"
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	hypha := bed.HyphaConfig{Env: o.Hypha}
	if o.Slurm {
		fmt.Fprintln(o.Log, "starting a Slurm cluster with Apptainer")
		if s.Cluster, err = bed.StartCluster(ctx, o.Cluster); err != nil {
			return s, err
		}
		hypha.Host = s.Cluster.OuterIP()
		s.Dir = s.Cluster.Home(workerUser)
	} else if s.Dir, err = os.MkdirTemp("", "bioengine-site-"); err != nil {
		return s, err
	}
	fmt.Fprintln(o.Log, "starting a Hypha server with artifacts")
	if s.Hypha, err = bed.StartHypha(ctx, hypha); err != nil {
		return s, err
	}
	if s.Token, err = s.Hypha.Token(workerUser, bed.Email("alice@example.org")); err != nil {
		return s, err
	}
	return s, s.install()
}

// install puts the programs, the token and the configuration where the
// controller finds them.
func (s *Site) install() error {
	if err := os.MkdirAll(filepath.Join(s.Dir, "bin"), 0o755); err != nil {
		return err
	}
	for _, program := range []string{"bioengine-hpc", "bioengine-agent"} {
		data, err := os.ReadFile(filepath.Join(s.options.Bin, program))
		if err != nil {
			return fmt.Errorf("%w (run make build race first)", err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "bin", program), data, 0o755); err != nil {
			return err
		}
	}
	if err := s.write("token", []byte(s.Token), 0o600); err != nil {
		return err
	}
	return s.Configure(nil)
}

// Configure writes the controller's configuration anew, with more sections
// merged over it; it holds from the controller's next start.
func (s *Site) Configure(more map[string]any) error {
	config, err := s.defaults()
	if err != nil {
		return err
	}
	for _, layer := range []map[string]any{s.options.Config, more} {
		merge(config, layer)
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	return s.write("config.yaml", data, 0o600)
}

func (s *Site) defaults() (map[string]any, error) {
	jobs := map[string]any{"agent": s.Home("bin/bioengine-agent")}
	if s.Cluster != nil {
		jobs["backend"] = "sbatch"
		jobs["image"] = s.Cluster.Image()
		jobs["apptainer"] = "/usr/bin/apptainer"
		jobs["addresses"] = []string{"login"}
	} else {
		python, err := bed.Python(context.Background())
		if err != nil {
			return nil, err
		}
		jobs["backend"] = "local"
		jobs["image"] = "host:" + python
		jobs["listen"] = "127.0.0.1:0"
		jobs["local_gpus"] = 1
	}
	return map[string]any{
		"hypha":  map[string]any{"server_url": s.Hypha.URL, "workspace": s.Workspace, "client_id": "hpc", "token_file": s.Home("token")},
		"worker": map[string]any{"workspace_dir": s.Home(".bioengine"), "state_dir": s.Home(".bioengine/hpc")},
		"jobs":   jobs,
		"log":    map[string]any{"level": "debug"},
	}, nil
}

func merge(into, from map[string]any) {
	for k, v := range from {
		if sub, ok := v.(map[string]any); ok {
			if old, ok := into[k].(map[string]any); ok {
				merge(old, sub)
				continue
			}
		}
		into[k] = v
	}
}

func (s *Site) write(name string, data []byte, mode os.FileMode) error {
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	if s.Cluster != nil {
		return os.Chown(path, 1000, 1000)
	}
	return nil
}

// Home is a path of the controller's home as the controller sees it.
func (s *Site) Home(name string) string {
	if s.Cluster != nil {
		return filepath.Join("/home", workerUser, name)
	}
	return filepath.Join(s.Dir, name)
}

// Command prepares argv to run where the controller runs, as its user.
func (s *Site) Command(ctx context.Context, argv ...string) *exec.Cmd {
	if s.Cluster != nil {
		return s.Cluster.Command(ctx, "login", workerUser, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "LANG=C.UTF-8"}
	return cmd
}

// ControllerLog is the file the controller's output goes to.
func (s *Site) ControllerLog() string { return filepath.Join(s.Dir, "controller.log") }

// StartController starts the controller and waits until its service answers.
func (s *Site) StartController(ctx context.Context) error {
	if err := s.LaunchController(); err != nil {
		return err
	}
	return s.AwaitController(ctx)
}

// LaunchController starts the controller's process.
func (s *Site) LaunchController() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.OpenFile(s.ControllerLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	cmd := s.Command(context.Background(), s.Home("bin/bioengine-hpc"), "serve", "--config", s.Home("config.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.controller, s.exited, s.logBegins = cmd, exited, info.Size()
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		s.exitErr = err
		s.mu.Unlock()
		close(exited)
	}()
	return nil
}

// StartLog is what the controller has printed since it was launched last.
func (s *Site) StartLog() ([]byte, error) {
	log, err := os.ReadFile(s.ControllerLog())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return log[min(s.logBegins, int64(len(log))):], nil
}

// AwaitController waits until the controller's log says that it serves.
func (s *Site) AwaitController(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		log, err := s.StartLog()
		if err != nil {
			return err
		}
		if bytes.Contains(log, []byte(`:bioengine-worker"}`)) {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the controller ended: %v\n%s", s.exitErr, Tail(log, 4000))
		case <-ctx.Done():
			return fmt.Errorf("the controller did not get ready: %w\n%s", ctx.Err(), Tail(log, 4000))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ControllerPID is the controller's process as this machine sees it.
func (s *Site) ControllerPID() (int, error) {
	if s.Cluster != nil {
		return bed.InnerPID(s.controller)
	}
	return s.controller.Process.Pid, nil
}

// Signal sends a signal to the controller and waits for its end.
func (s *Site) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	cmd, exited := s.controller, s.exited
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	var err error
	if s.Cluster != nil {
		err = bed.Signal(cmd, sig)
	} else {
		err = cmd.Process.Signal(sig)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(60 * time.Second):
		return errors.Join(err, errors.New("the controller does not end"))
	}
}

// Kill ends the controller as a crash would.
func (s *Site) Kill() error { return s.Signal(syscall.SIGKILL) }

// CLI runs bioengine-hpc with a user's token and returns its output.
func (s *Site) CLI(ctx context.Context, token string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.options.Bin, "bioengine-hpc"), args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "HYPHA_TOKEN=" + token, "BIOENGINE_HPC_CONFIG=",
		"HYPHA_SERVER_URL=" + s.Hypha.URL, "BIOENGINE_WORKER=" + s.WorkerID, "GORACE=halt_on_error=1",
	}
	var stderr bytes.Buffer
	cmd.Stderr = io.MultiWriter(&stderr, s.options.Log)
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("bioengine-hpc %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

// Python runs a script of this machine with hypha-rpc; SERVER_URL, TOKEN and
// WORKER are in its environment.
func (s *Site) Python(ctx context.Context, token, script string, args ...string) (string, error) {
	python, err := bed.Python(ctx)
	if err != nil {
		return "", err
	}
	return s.script(exec.CommandContext(ctx, python, append([]string{script}, args...)...), token)
}

// Node is Python for a JavaScript module.
func (s *Site) Node(ctx context.Context, token, script string, args ...string) (string, error) {
	dir, err := bed.NodeDir(ctx)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Env = append(cmd.Env, "NODE_PATH="+filepath.Join(dir, "node_modules"))
	return s.script(cmd, token)
}

func (s *Site) script(cmd *exec.Cmd, token string) (string, error) {
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+s.Dir, "LANG=C.UTF-8", "NO_PROXY=*",
		"SERVER_URL="+s.Hypha.URL, "TOKEN="+token, "WORKER="+s.WorkerID)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s\n%s", filepath.Base(cmd.Args[1]), err, out, Tail(stderr.Bytes(), 6000))
	}
	return string(out), nil
}

// Stop ends everything that was started.
func (s *Site) Stop() error {
	errs := []error{s.Signal(syscall.SIGTERM)}
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Stop())
	} else if s.Dir != "" {
		errs = append(errs, s.endLocalJobs(), os.RemoveAll(s.Dir))
	}
	if s.Hypha != nil {
		errs = append(errs, s.Hypha.Stop())
	}
	return errors.Join(errs...)
}

// endLocalJobs ends what the local back end left running: as with Slurm, jobs
// outlive the controller.
func (s *Site) endLocalJobs() error {
	agents, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, exe := range agents {
		target, err := os.Readlink(exe)
		if err != nil || !strings.HasPrefix(target, s.Dir+"/") {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(exe, "/proc/%d/exe", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	return nil
}

// Tail is the end of a log.
func Tail(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}
