package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// buildAgent builds the program as it is shipped.
func buildAgent(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent-test-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bioengine-agent")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../../cmd/bioengine-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return path
}

func (c *controller) command(t *testing.T, program, python string) *exec.Cmd {
	cmd := exec.Command(program, "--allocation", filepath.Join(c.dir, "allocation"), "--endpoint", filepath.Join(c.dir, "endpoint"),
		"--python", python, "--work", t.TempDir())
	cmd.Stderr = os.Stderr
	return cmd
}

func TestPythonDoesNotOutliveTheAgent(t *testing.T) {
	c := newController(t, fakeAssign(t, map[string]any{"deaf": true}))
	cmd := c.command(t, buildAgent(t), fakePython(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	c.event(link.EventReady)
	c.call("c", "pid")
	pid, err := strconv.Atoi(c.answer("c"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if gone(pid) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Python, process %d, goes on without its agent", pid)
		}
	}
}

// gone says that a process has ended, be it still a zombie.
func gone(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(status), ") Z ")
}

func TestTermEndsTheProgramWell(t *testing.T) {
	c := newController(t, fakeAssign(t, nil))
	cmd := c.command(t, buildAgent(t), fakePython(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	c.event(link.EventReady)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.event(link.EventExited)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the program ended with %v", err)
	}
}

// TestAgentIsClosedToItsUser looks at a running agent as another process of the same user would: it must find nothing.
func TestAgentIsClosedToItsUser(t *testing.T) {
	agent := buildAgent(t)
	dir := filepath.Dir(agent)
	if err := os.WriteFile(filepath.Join(dir, "spy.sh"), []byte(spy), 0o755); err != nil {
		t.Fatal(err)
	}
	// The agent has no valid endpoint and dials for a while, which is all that it need do here.
	for _, d := range []string{"allocation", "endpoint", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"allocation.json": `{"allocation":"a"}`, "token": "token"} {
		if err := os.WriteFile(filepath.Join(dir, "allocation", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"sh", filepath.Join(dir, "spy.sh"), dir}
	if os.Geteuid() == 0 {
		args = append([]string{"setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "AGENT_SECRET=hush")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	report := string(out)
	if strings.Contains(report, "hush") || !strings.Contains(report, "sleep: readable") {
		t.Fatalf("the spy reports:\n%s", report)
	}
	for _, file := range []string{"environ", "mem", "maps", "fd"} {
		if !strings.Contains(report, file+": refused") {
			t.Errorf("%s of the agent can be read:\n%s", file, report)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "allocation", "token")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the token is still there: %v", err)
	}
}

// spy starts the agent, and a sleep for comparison, and tries to read what the kernel shows of them.
const spy = `
cd "$1"
./bioengine-agent --allocation allocation --endpoint endpoint --python python3 --work work 2>work/log &
agent=$!
sleep 30 &
other=$!
for i in $(seq 200); do [ -e allocation/token ] || break; sleep 0.05; done
cat work/log
if tr '\0' '\n' </proc/$other/environ | grep -q AGENT_SECRET; then echo "sleep: readable"; fi
if cat /proc/$agent/environ 2>/dev/null; then echo "environ: readable"; else echo "environ: refused"; fi
if head -c 1 /proc/$agent/maps >/dev/null 2>&1 && [ -n "$(head -c 1 /proc/$agent/maps)" ]; then echo "maps: readable"; else echo "maps: refused"; fi
if (exec 3</proc/$agent/mem) 2>/dev/null; then echo "mem: readable"; else echo "mem: refused"; fi
if ls /proc/$agent/fd >/dev/null 2>&1; then echo "fd: readable"; else echo "fd: refused"; fi
kill $agent $other
wait $agent
`
