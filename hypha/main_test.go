package hypha

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

var systems bed.Shared

func TestMain(m *testing.M) { os.Exit(systems.Main(m)) }

// patience bounds what tests wait for; nothing takes so long when all is well.
const patience = 60 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// account is a Config for a user of its own, whose workspace is ws-user-<name>.
func account(t testing.TB, h *bed.Hypha, user string, options ...bed.TokenOption) Config {
	t.Helper()
	return Config{
		ServerURL: h.URL, Workspace: "ws-user-" + user,
		Token:  func(context.Context) (string, error) { return h.Token(user, options...) },
		Logger: logger(t),
	}
}

func logger(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zapcore.InfoLevel), zaptest.WrapOptions(zap.AddCaller()))
}

// mustConnect connects a client that is closed at the end of the test.
func mustConnect(t testing.TB, config Config, times ...timing) *Client {
	t.Helper()
	timing := defaultTiming
	if len(times) > 0 {
		timing = times[0]
	}
	c, err := connect(testContext(t), config, timing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// peer is a running script of testdata.
type peer struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// startPython runs a script of testdata with the Python of the test bed.
func startPython(t testing.TB, h *bed.Hypha, user, script string, args ...string) *peer {
	t.Helper()
	python, err := bed.Python(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return startPeer(t, h, user, append([]string{python, filepath.Join("testdata", script)}, args...))
}

func startPeer(t testing.TB, h *bed.Hypha, user string, argv []string, env ...string) *peer {
	t.Helper()
	token, err := h.Token(user)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testContext(t), argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), env...), "NO_PROXY=*", "HYPHA_URL="+h.URL, "HYPHA_TOKEN="+token, "HYPHA_WORKSPACE=ws-user-"+user)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	t.Cleanup(p.stop)
	return p
}

// line is the next line that the script prints.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s ended: %v", p.cmd.Args, err)
	}
	return strings.TrimSpace(line)
}

// tell sends the script a line.
func (p *peer) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		p.t.Fatal(err)
	}
}

// stop closes the script's input, which ends it, and waits.
func (p *peer) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// runScript runs a Python script to its end; it must succeed.
func runScript(t testing.TB, h *bed.Hypha, user, script string, args ...string) {
	t.Helper()
	startPython(t, h, user, script, args...).succeed()
}

// runNode runs a script with Node and the JavaScript hypha-rpc to its end; it must succeed.
func runNode(t testing.TB, h *bed.Hypha, user, script string, args ...string) {
	t.Helper()
	dir, err := bed.NodeDir(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"node", filepath.Join("testdata", script)}, args...)
	startPeer(t, h, user, argv, "NODE_PATH="+filepath.Join(dir, "node_modules")).succeed()
}

// succeed waits for the end of a script that needs no input.
func (p *peer) succeed() {
	p.t.Helper()
	text, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("%v: %v\n%s", p.cmd.Args, err, text)
	}
}

// until waits for a condition that has no event.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
