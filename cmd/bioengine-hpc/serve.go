package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/local"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/sbatch"
	"github.com/bioengine-hpc/bioengine-hpc/worker"
)

// rayVersion is the API level of the runtime's ray.serve.
const rayVersion = "2.33.0"

// serveFlags override the configuration file.
type serveFlags struct {
	serverURL, workspace, clientID, tokenFile string
	stateDir, workspaceDir, backend, image    string
	admins                                    []string
}

func newServe(s *settings) *cobra.Command {
	f := &serveFlags{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the controller on a login node",
		Long: `Run the controller: it registers the service bioengine-worker with Hypha, starts
applications as jobs, and relays their calls. Stop it with Ctrl-C or SIGTERM: jobs
go on running, and the next start takes them over.

The Hypha token comes from --token-file (mode 0600, read again at each connect) or
from HYPHA_TOKEN, which is removed from the process's environment at once.`,
		Example: `  bioengine-hpc serve --token-file ~/.hypha-token --image /shared/images/bioengine.sif
  bioengine-hpc serve --config controller.yaml
  bioengine-hpc serve --backend local --image host:/usr/bin/python3`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(s.configPath)
			if err != nil {
				return err
			}
			f.apply(c, &cfg)
			given, err := hideToken()
			if err != nil {
				return err
			}
			return serve(c.Context(), cfg, given)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.serverURL, "server-url", "", "Hypha server")
	flags.StringVar(&f.workspace, "workspace", "", "Hypha workspace (default: the token's own)")
	flags.StringVar(&f.clientID, "client-id", "", "Hypha client id; keep it, service ids are made of it")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the Hypha token, mode 0600")
	flags.StringVar(&f.stateDir, "state-dir", "", "state, shared with the compute hosts (default ~/.bioengine/hpc)")
	flags.StringVar(&f.workspaceDir, "workspace-dir", "", "home directories of applications (default ~/.bioengine)")
	flags.StringVar(&f.backend, "backend", "", "sbatch (Slurm) or local (this machine, no container)")
	flags.StringVar(&f.image, "image", "", "image of applications that name none: a SIF file, or host:PYTHON with --backend local")
	flags.StringSliceVar(&f.admins, "admin-users", nil, "ids or emails of users who may deploy; * for everybody")
	return c
}

func (f *serveFlags) apply(c *cobra.Command, cfg *config) {
	for name, set := range map[string]func(){
		"server-url":    func() { cfg.Hypha.ServerURL = f.serverURL },
		"workspace":     func() { cfg.Hypha.Workspace = f.workspace },
		"client-id":     func() { cfg.Hypha.ClientID = f.clientID },
		"token-file":    func() { cfg.Hypha.TokenFile = f.tokenFile },
		"state-dir":     func() { cfg.Worker.StateDir = f.stateDir },
		"workspace-dir": func() { cfg.Worker.WorkspaceDir = f.workspaceDir },
		"backend":       func() { cfg.Jobs.Backend = f.backend },
		"image":         func() { cfg.Jobs.Image = f.image },
		"admin-users":   func() { cfg.Worker.AdminUsers = f.admins },
	} {
		if c.Flags().Changed(name) {
			set()
		}
	}
}

// serve wires the rooms together and runs them until ctx ends.
func serve(ctx context.Context, cfg config, givenToken string) error {
	token, err := tokenSource(cfg.Hypha.TokenFile, givenToken)
	if err != nil {
		return err
	}
	if err := cfg.resolve(); err != nil {
		return err
	}
	log, err := newLog(cfg.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // a terminal cannot be synced
	log.Info("starting the controller", zap.String("version", version), zap.String("backend", cfg.Jobs.Backend), zap.String("state_dir", cfg.Worker.StateDir))
	sch, err := newScheduler(ctx, cfg)
	if err != nil {
		return &cliError{Code: exitUnreachable, Sentence: err.Error(), Hint: "'--backend local' runs applications on this machine instead"}
	}
	lease, err := store.Acquire(cfg.Worker.StateDir)
	if err != nil {
		return &cliError{Code: exitFailure, Sentence: err.Error(), Hint: "stop it, or give this one another --state-dir"}
	}
	defer func() { _ = lease.Release() }() // the next controller finds out by itself
	st, err := store.Open(ctx, cfg.Worker.StateDir, lease)
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := net.Listen("tcp", cfg.Jobs.Listen)
	if err != nil {
		return &usageError{Sentence: err.Error(), Hint: "jobs.listen is host:port; port 0 takes a free one"}
	}
	defer listener.Close()
	manager := jobs.New(cfg.manager(listener.Addr().(*net.TCPAddr).Port), st, sch, log.Named("jobs"))
	work, err := worker.New(cfg.worker(token, log), manager, manifest.Reader{})
	if err != nil {
		return err
	}
	manager.Listen(work)
	if err := manager.Load(ctx); err != nil {
		return err
	}
	if err := work.Recover(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return lease.Keep(ctx) })
	g.Go(func() error { return manager.Run(ctx, listener) })
	g.Go(func() error { return work.Run(ctx) })
	err = g.Wait()
	log.Info("the controller has stopped; jobs go on running", zap.Error(err))
	return err
}

// resolve completes what the file left open and checks what can be checked.
func (c *config) resolve() error {
	if c.Jobs.Backend != "sbatch" && c.Jobs.Backend != "local" {
		return &usageError{Sentence: fmt.Sprintf("there is no back end %q", c.Jobs.Backend), Hint: "jobs.backend is sbatch or local"}
	}
	if c.Hypha.MessageRate < 1 || c.Hypha.MessageBurst < 1 {
		return &usageError{Sentence: "hypha.message_rate and hypha.message_burst must be at least 1", Hint: "leave them out unless your Hypha server allows more than 200 messages per second"}
	}
	if c.Jobs.Agent == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		c.Jobs.Agent = filepath.Join(filepath.Dir(self), "bioengine-agent")
	}
	if _, err := os.Stat(c.Jobs.Agent); err != nil {
		return &usageError{Sentence: "the agent's program is missing: " + err.Error(), Hint: "install bioengine-agent beside bioengine-hpc, on a filesystem that the compute hosts share, or set jobs.agent"}
	}
	if c.Jobs.Image == "" {
		return &usageError{Sentence: "no image is configured", Hint: "set jobs.image or --image to a SIF file with Python 3.11 and hypha-rpc; with --backend local to host:PYTHON"}
	}
	if c.Jobs.Backend == "sbatch" && !filepath.IsAbs(c.Jobs.Apptainer) {
		// Compute hosts usually have it in the same place.
		path, err := exec.LookPath(c.Jobs.Apptainer)
		if err != nil {
			return &usageError{Sentence: "apptainer is not found here", Hint: "set jobs.apptainer to its path on the compute hosts"}
		}
		c.Jobs.Apptainer = path
	}
	for _, p := range []*string{&c.Jobs.Agent, &c.Worker.StateDir, &c.Worker.WorkspaceDir} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

func newScheduler(ctx context.Context, c config) (scheduler.Scheduler, error) {
	if c.Jobs.Backend == "local" {
		return local.New(local.Config{Dir: filepath.Join(c.Worker.StateDir, "local"), GPUs: c.Jobs.LocalGPUs})
	}
	return sbatch.New(ctx, sbatch.Config{BinDir: c.Slurm.BinDir})
}

func (c config) appsDir() string { return filepath.Join(c.Worker.WorkspaceDir, "apps") }

func (c config) manager(port int) jobs.Config {
	t := c.Jobs.Times
	return jobs.Config{
		StateDir: c.Worker.StateDir, AppsDir: c.appsDir(), Agent: c.Jobs.Agent, Apptainer: c.Jobs.Apptainer,
		Addresses: c.addresses(port),
		Site:      c.site(),
		Times: jobs.Times{
			PollBusy: time.Duration(t.PollBusy), PollQuiet: time.Duration(t.PollQuiet), LostGrace: time.Duration(t.LostGrace),
			JoinLimit: time.Duration(t.JoinLimit), CancelAfter: time.Duration(t.CancelAfter), FailedRetry: time.Duration(t.FailedRetry),
		},
	}
}

func (c config) site() jobs.Site {
	j := c.Jobs
	return jobs.Site{
		Partition: j.Partition, Account: j.Account, QoS: j.QoS, Constraint: j.Constraint, Image: j.Image, Images: j.Images,
		HostImages: j.Backend == "local",
		TimeLimit:  time.Duration(j.TimeLimit), MaxTime: time.Duration(j.MaxTime), MemoryBytes: int64(j.Memory),
		GPUTypes: j.GPUTypes, Options: j.Options, MaxReplicas: j.MaxReplicas,
	}
}

// addresses are where agents dial: the configured names, else this machine's
// name, then its addresses, with the port that the listener has.
func (c config) addresses(port int) []string {
	host, _, _ := net.SplitHostPort(c.Jobs.Listen)
	hosts := c.Jobs.Addresses
	if ip := net.ParseIP(host); len(hosts) == 0 && ip != nil && !ip.IsUnspecified() {
		hosts = []string{host}
	}
	if len(hosts) == 0 {
		hosts = ownHosts()
	}
	out := make([]string, len(hosts))
	for i, h := range hosts {
		if _, _, err := net.SplitHostPort(h); err == nil {
			out[i] = h // a port of its own: something forwards it
			continue
		}
		out[i] = net.JoinHostPort(h, strconv.Itoa(port))
	}
	return out
}

func ownHosts() []string {
	var hosts []string
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return hosts
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}

func (c config) worker(token func(context.Context) (string, error), log *zap.Logger) worker.Config {
	mode := "slurm"
	if c.Jobs.Backend == "local" {
		mode = "single-machine"
	}
	return worker.Config{
		Hypha: hypha.Config{
			ServerURL: c.Hypha.ServerURL, Workspace: c.Hypha.Workspace, ClientID: c.Hypha.ClientID,
			Token: token, Logger: log.Named("hypha"),
			Limits: hypha.Limits{MessagesPerSecond: float64(c.Hypha.MessageRate), MessageBurst: c.Hypha.MessageBurst},
		},
		Name: c.Worker.Name, Mode: mode, Admins: c.Worker.AdminUsers, AppsDir: c.appsDir(),
		LocalArtifacts: os.Getenv("BIOENGINE_LOCAL_ARTIFACT_PATH"),
		Version:        version, RayVersion: rayVersion, Log: log.Named("worker"),
	}
}
