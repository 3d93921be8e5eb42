//go:build systems

package sbatch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/sbatch"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/schedtest"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

const alice = 1000 // the cluster's uid

// startCluster starts a real Slurm cluster for one test.
func startCluster(t *testing.T, config bed.ClusterConfig) *bed.Cluster {
	t.Helper()
	c, err := bed.StartCluster(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// openSlurm opens the back end as alice on the login host.
func openSlurm(t *testing.T, c *bed.Cluster) *sbatch.Slurm {
	t.Helper()
	s, err := sbatch.New(t.Context(), sbatch.Config{BinDir: c.Wrappers("alice"), CheckFolders: foldersOf(c)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// foldersOf looks for alice's folders where this side of the cluster has them.
func foldersOf(c *bed.Cluster) func(scheduler.Spec) error {
	return func(spec scheduler.Spec) error {
		for _, path := range []*string{&spec.WorkDir, &spec.Output} {
			*path = strings.Replace(*path, "/home/alice", c.Home("alice"), 1)
		}
		return scheduler.CheckFolders(spec)
	}
}

func TestSuiteOnARealCluster(t *testing.T) {
	c := startCluster(t, bed.ClusterConfig{})
	work := filepath.Join(c.Home("alice"), "work")
	if err := errors.Join(os.Mkdir(work, 0o777), os.Chown(work, alice, alice)); err != nil {
		t.Fatal(err)
	}
	suite := schedtest.Suite{
		Open:   func(t *testing.T) scheduler.Scheduler { return openSlurm(t, c) },
		JobDir: "/home/alice/work", TestDir: work, GPUs: true, UnknownID: "99999", Patience: time.Minute,
	}
	if full { // Slurm's shortest limit is a minute, and it warns up to a minute early
		suite.TimeLimit, suite.WarnBefore = time.Minute, 30*time.Second
		suite.Patience = 2 * time.Minute
	}
	t.Logf("%s", openSlurm(t, c).Version())
	schedtest.Run(t, suite)
}
