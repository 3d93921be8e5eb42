package bed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/cluster"
)

// ClusterConfig says how large a cluster to start. The zero value has 3 compute hosts of 4 CPUs, 4000 MB and 2 fake GPUs each;
// CPUs and memory are claims that this machine need not have.
type ClusterConfig struct {
	Nodes     int // compute hosts c1..cN
	NodeCPUs  int
	NodeMemMB int
	Extra     map[string]string // lines of slurm.conf; each replaces all lines with the same key
	Name      string            // if given, it outlives this process until it is stopped; Running finds it again (bed up)
}

// Cluster is a running Slurm cluster with Apptainer: host login with slurmctld and slurmrestd, compute hosts c1..cN, users
// alice (1000) and bob (1001) with homes on all hosts, partitions cpu (default), gpu and low, and /scratch, which every host
// shares. Compute hosts reach each other and login; login also reaches this machine, at OuterIP. Its methods may be called
// from several goroutines, except that one host is switched by one at a time.
type Cluster struct {
	name    string // "" if it goes with its process
	run     string // run folder
	network int    // N of 10.N.0.0/24 and 10.N.1.0/24
	nodes   int
	keeper  *keeper // nil if it stays
	stop    sync.Once
}

// StartCluster builds what is missing and starts a cluster, which takes about a second. When this machine cannot hold one, the
// error wraps ErrUnsupported and says what runs without.
func StartCluster(ctx context.Context, config ClusterConfig) (*Cluster, error) {
	if err := supported(ctx); err != nil {
		return nil, err
	}
	rootfs, err := prepare(ctx, os.Stderr, PartCluster)
	if err != nil {
		return nil, err
	}
	app, err := prepare(ctx, os.Stderr, PartImage)
	if err != nil {
		return nil, err
	}
	stays := config.Name != ""
	run, err := newRun(ctx, "cluster", !stays)
	if err != nil {
		return nil, err
	}
	c := &Cluster{name: config.Name, run: run}
	if !stays {
		if c.keeper, err = startKeeper(run); err != nil {
			return nil, errors.Join(err, os.RemoveAll(run))
		}
	}
	if err := c.up(ctx, config, rootfs, app); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// up lays out the run folder and runs up.sh, which awaits every daemon.
func (c *Cluster) up(ctx context.Context, config ClusterConfig, rootfs, app string) error {
	images := filepath.Join(c.Scratch(), "img")
	err := errors.Join(
		writeFiles(filepath.Join(c.run, "scripts"), cluster.Scripts),
		os.MkdirAll(images, 0o755),
		os.Link(app, filepath.Join(images, "app.sif")), // not a copy: both lie in the cache, and no user may write it
		os.WriteFile(filepath.Join(c.run, "name"), []byte(c.name), 0o644),
		os.WriteFile(filepath.Join(c.run, "extra.conf"), extraLines(config.Extra), 0o644))
	if err != nil {
		return fmt.Errorf("lay out the cluster's folder: %w", err)
	}
	log, err := os.Create(filepath.Join(c.run, "up.log"))
	if err != nil {
		return fmt.Errorf("lay out the cluster's folder: %w", err)
	}
	defer log.Close()
	nodes := cmp.Or(config.Nodes, 3)
	cmd := exec.CommandContext(ctx, c.script("up.sh"), c.run, rootfs, strconv.Itoa(nodes),
		strconv.Itoa(cmp.Or(config.NodeCPUs, 4)), strconv.Itoa(cmp.Or(config.NodeMemMB, 4000)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = log, log // a file: the daemons it starts would keep a pipe open
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("start the cluster: %w\n%s", err, tail(said))
	}
	return c.load()
}

func extraLines(extra map[string]string) []byte {
	var lines []string
	for key, value := range extra {
		lines = append(lines, key+"="+value+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// load reads what up.sh chose and writes the wrapper programs.
func (c *Cluster) load() error {
	env, err := os.ReadFile(filepath.Join(c.run, "env"))
	if err != nil {
		return fmt.Errorf("read the cluster's parameters: %w", err)
	}
	for _, word := range strings.Fields(string(env)) {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "NETID":
			c.network, err = strconv.Atoi(value)
		case "NODES":
			c.nodes, err = strconv.Atoi(value)
		}
		if err != nil {
			return fmt.Errorf("read the cluster's parameters: %w", err)
		}
	}
	return c.writeWrappers()
}

// Running are the clusters that were started to stay, by whomever, and are up.
func Running() ([]*Cluster, error) {
	owners, err := filepath.Glob(filepath.Join(runsDir(), "cluster-*", "owner"))
	if err != nil {
		return nil, err
	}
	var found []*Cluster
	for _, owner := range owners {
		c := &Cluster{run: filepath.Dir(owner)}
		content, err := os.ReadFile(owner)
		if err != nil || strings.TrimSpace(string(content)) != "none" {
			continue
		}
		name, err := os.ReadFile(filepath.Join(c.run, "name"))
		if err != nil {
			continue // it is only just being started
		}
		c.name = string(name)
		if err := c.load(); err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, nil
}

// Name is what the cluster was started as; "" if it goes with its process.
func (c *Cluster) Name() string { return c.name }

// Stop kills every process of the cluster and removes its folder; nothing stays. Further calls do nothing.
func (c *Cluster) Stop() error {
	var err error
	c.stop.Do(func() {
		if c.keeper != nil {
			err = c.keeper.stop()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = reap(ctx, c.run)
	})
	return err
}

// Nodes are the names of the compute hosts.
func (c *Cluster) Nodes() []string {
	names := make([]string, c.nodes)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i+1)
	}
	return names
}

// Image is the path of the application image inside the hosts.
func (c *Cluster) Image() string { return "/scratch/img/app.sif" }

// Home is that user's home, /home/<user> in the hosts, as a path of this machine. Files that root puts there must be given to
// the user (1000 alice, 1001 bob).
func (c *Cluster) Home(user string) string { return filepath.Join(c.run, "shared", "home", user) }

// Scratch is the hosts' /scratch as a path of this machine.
func (c *Cluster) Scratch() string { return filepath.Join(c.run, "shared", "scratch") }

// HostRoot is the file system of a running host as a path of this machine: its logs, spool and /tmp.
func (c *Cluster) HostRoot(host string) (string, error) {
	pid, err := c.pid(host)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/root", pid), nil
}

// OuterIP is this machine's address as the login host sees it; the login host's name for it is outer.
func (c *Cluster) OuterIP() string { return fmt.Sprintf("10.%d.1.1", c.network) }

// LoginIP is the login host's address as this machine sees it.
func (c *Cluster) LoginIP() string { return fmt.Sprintf("10.%d.1.10", c.network) }

// InnerIP is the login host's address as the compute hosts see it; their name for it is login.
func (c *Cluster) InnerIP() string { return fmt.Sprintf("10.%d.0.10", c.network) }

// RESTURL is slurmrestd's base URL for this machine. On the login host it is http://localhost:6820.
func (c *Cluster) RESTURL() string { return "http://" + c.LoginIP() + ":6820" }

// JWT mints a slurmrestd token for that user, valid for a day.
func (c *Cluster) JWT(user string) (string, error) {
	key, err := os.ReadFile(filepath.Join(c.run, "etc", "slurm", "jwt_hs256.key"))
	if err != nil {
		return "", fmt.Errorf("read the cluster's token key: %w", err)
	}
	now := time.Now()
	return signHS256(key, map[string]any{"iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(), "sun": user})
}
