//go:build systems

package bed

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOwner(t *testing.T) {
	t.Run("stopped clusters leave no process, interface or folder", func(t *testing.T) {
		clusters := []*Cluster{startCluster(t), startCluster(t)}
		if clusters[0].network == clusters[1].network {
			t.Fatalf("two clusters share the network %d", clusters[0].network)
		}
		for _, c := range clusters {
			before := remember(t, c.run)
			if err := c.Stop(); err != nil {
				t.Error(err)
			}
			before.assertGone(t)
		}
	})
	t.Run("a killed owner's systems go with it", func(t *testing.T) {
		victim, runs := startVictim(t)
		var left []traces
		for _, run := range runs {
			left = append(left, remember(t, run))
		}
		if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait()
		for _, l := range left {
			waitFor(t, l.gone)
			l.assertGone(t)
		}
	})
	t.Run("what a killed owner and its keeper leave goes at the next start", func(t *testing.T) {
		victim, runs := startVictim(t)
		var left []traces
		for _, run := range runs {
			left = append(left, remember(t, run))
		}
		killKeepers(t, victim)
		if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait()
		for _, l := range left {
			if !exists(l.run) {
				t.Fatalf("%s went without its keeper: this proves nothing", l.run)
			}
		}
		if err := reapStale(t.Context()); err != nil { // every start does
			t.Fatal(err)
		}
		for _, l := range left {
			l.assertGone(t)
		}
	})
}

func startCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context(), ClusterConfig{Nodes: 1})
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

// startVictim starts this test binary as an owner of a cluster and a Hypha server, and returns their run folders.
func startVictim(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	victim := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	victim.Env = append(os.Environ(), "BED_TEST_VICTIM=1")
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if runs := strings.Fields(line); err == nil && len(runs) == 2 {
		return victim, runs
	}
	_ = victim.Process.Kill()
	t.Fatalf("the owner to kill did not start: %q %v", line, err)
	return nil, nil
}

// killKeepers kills the victim's children that wait to reap.
func killKeepers(t *testing.T, victim *exec.Cmd) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(victim.Process.Pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range strings.Fields(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if !strings.Contains(string(line), "cat >/dev/null") {
				continue
			}
			if pid, err := strconv.Atoi(child); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
				t.Fatalf("cannot kill the keeper %s", child)
			}
			killed++
		}
	}
	if killed != 2 {
		t.Fatalf("the owner had %d keepers, not 2", killed)
	}
}

// traces are what a run has outside its folder.
type traces struct {
	run       string
	processes []string // lines of pids
	links     []string
}

func remember(t *testing.T, run string) traces {
	t.Helper()
	left := traces{run: run, processes: lines(t, filepath.Join(run, "pids")), links: lines(t, filepath.Join(run, "links"))}
	running := 0
	for _, line := range left.processes {
		if alive(line) {
			running++
		}
	}
	if running == 0 {
		t.Fatalf("nothing runs in %s", run)
	}
	return left
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func (l traces) gone() bool { return !exists(l.run) }

func (l traces) assertGone(t *testing.T) {
	t.Helper()
	if exists(l.run) {
		t.Errorf("%s is still there", l.run)
	}
	for _, line := range l.processes {
		if alive(line) {
			t.Errorf("%s is still running", line)
		}
	}
	for _, link := range l.links {
		if _, err := net.InterfaceByName(link); err == nil {
			t.Errorf("the interface %s is still there", link)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), l.run) {
		t.Errorf("something is still mounted in %s", l.run)
	}
}

func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited 20 s in vain")
		}
	}
}
