// Command bed starts the real systems of the tests by hand: go run ./test/bed/cmd/bed help.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

const help = `bed starts the real systems that the tests run against.

  bed prepare [hypha|node|cluster|image ...]   build what is missing (all of it: about 3 minutes on a new machine)
  bed up [-nodes 3] [-cpus 4] [-mem 4000]      start a Slurm cluster that stays until bed down
  bed exec HOST [-u USER] [--] CMD...          run a command in a host (login, c1, ...) of that cluster, as root unless -u
  bed host off|on|cut|mend HOST                power a compute host off or on, pull or plug its network cable
  bed hypha [-cluster]                         run a Hypha server until interrupted; -cluster: one the login host reaches
  bed versions [-unit]                         print the versions of everything, as asked of running systems; -unit: no cluster
  bed down                                     stop that cluster

BED_CLUSTER names the cluster that up, exec, host, hypha and down mean, if not main: several can be up at once.

Everything built is kept in %s (or where BIOENGINE_TEST_CACHE says); see test/README.md.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "bed:", err)
		os.Exit(1)
	}
}

// exitCode is how a command run by bed exec ended: it has said itself what was wrong.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{"prepare": prepare, "up": up, "down": down, "exec": execIn,
		"host": host, "hypha": hypha, "versions": versions}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Printf(help, bed.CacheDir())
		return nil
	}
	command, known := commands[args[0]]
	if !known {
		return fmt.Errorf("unknown command %q: bed help lists them", args[0])
	}
	return command(ctx, args[1:])
}

func prepare(ctx context.Context, args []string) error {
	var parts []bed.Part
	for _, arg := range args {
		parts = append(parts, bed.Part(arg))
	}
	return bed.Prepare(ctx, os.Stderr, parts...)
}

func up(ctx context.Context, args []string) error {
	config := bed.ClusterConfig{Name: name()}
	flags := flag.NewFlagSet("bed up", flag.ContinueOnError)
	flags.IntVar(&config.Nodes, "nodes", 3, "compute hosts")
	flags.IntVar(&config.NodeCPUs, "cpus", 4, "CPUs of each")
	flags.IntVar(&config.NodeMemMB, "mem", 4000, "MB of memory of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := current(); err == nil {
		return fmt.Errorf("a cluster %q is up already: bed down stops it, BED_CLUSTER=another starts another", name())
	}
	c, err := bed.StartCluster(ctx, config)
	if err != nil {
		return err
	}
	describe(os.Stdout, c)
	return nil
}

func describe(w io.Writer, c *bed.Cluster) {
	fmt.Fprintf(w, "cluster up: login and %v, image %s\n", c.Nodes(), c.Image())
	fmt.Fprintf(w, "  slurmrestd           %s (on login: http://localhost:6820)\n", c.RESTURL())
	fmt.Fprintf(w, "  this machine is      %s for login\n", c.OuterIP())
	fmt.Fprintf(w, "  alice's home here    %s\n", c.Home("alice"))
	fmt.Fprintf(w, "  her sbatch, squeue   PATH=%s:$PATH\n", c.Wrappers("alice"))
	fmt.Fprintln(w, "try: go run ./test/bed/cmd/bed exec login -u alice srun --gres=gpu:1 apptainer exec /scratch/img/app.sif python3 -V")
}

// current is the cluster of bed up that BED_CLUSTER names, main if it names none. Others on this machine may have theirs.
func current() (*bed.Cluster, error) {
	running, err := bed.Running()
	if err != nil {
		return nil, err
	}
	for _, c := range running {
		if c.Name() == name() {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no cluster %q is up: bed up starts one", name())
}

func name() string { return cmp.Or(os.Getenv("BED_CLUSTER"), "main") }

func execIn(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("usage: bed exec HOST [-u USER] [--] CMD")
	}
	hostName, user, argv := args[0], "root", args[1:]
	if argv[0] == "-u" && len(argv) > 2 {
		user, argv = argv[1], argv[2:]
	}
	if argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return errors.New("bed exec: no command given")
	}
	c, err := current()
	if err != nil {
		return err
	}
	cmd := c.Command(ctx, hostName, user, argv...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exitCode(exit.ExitCode())
	}
	return err
}

func host(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bed host off|on|cut|mend HOST")
	}
	c, err := current()
	if err != nil {
		return err
	}
	actions := map[string]func(context.Context, string) error{"off": c.Off, "on": c.On, "cut": c.Cut, "mend": c.Mend}
	action, known := actions[args[0]]
	if !known {
		return fmt.Errorf("bed host: off, on, cut or mend, not %q", args[0])
	}
	return action(ctx, args[1])
}

func hypha(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bed hypha", flag.ContinueOnError)
	forCluster := flags.Bool("cluster", false, "reachable from the login host of bed up's cluster")
	user := flags.String("user", "alice", "whose token to print")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var config bed.HyphaConfig
	if *forCluster {
		c, err := current()
		if err != nil {
			return err
		}
		config.Host = c.OuterIP()
	}
	h, err := bed.StartHypha(ctx, config)
	if err != nil {
		return err
	}
	token, err := h.Token(*user)
	if err != nil {
		return errors.Join(err, h.Stop())
	}
	fmt.Printf("Hypha %s\nHYPHA_SERVER_URL=%s\nHYPHA_TOKEN=%s\nlog: %s\ninterrupt to stop\n", h.Version, h.URL, token, h.Log())
	<-ctx.Done()
	return h.Stop()
}

// versions starts what is not up, asks, and stops it again.
func versions(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bed versions", flag.ContinueOnError)
	unit := flags.Bool("unit", false, "leave the cluster out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var c *bed.Cluster
	if !*unit {
		if c, err = bed.StartCluster(ctx, bed.ClusterConfig{Nodes: 1}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Stop()) }()
	}
	h, err := bed.StartHypha(ctx, bed.HyphaConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	return bed.PrintVersions(ctx, os.Stdout, c, h)
}

func down(_ context.Context, _ []string) error {
	c, err := current()
	if err != nil {
		return err
	}
	return c.Stop()
}
