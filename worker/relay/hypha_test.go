package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

var systems bed.Shared

func TestMain(m *testing.M) { os.Exit(systems.Main(m)) }

// patience bounds what tests of the real server wait for.
const patience = 60 * time.Second

// service is an application on the real Hypha server, with real links and replicas in Go.
type serviceRig struct {
	t      testing.TB
	server *bed.Hypha
	client *hypha.Client
	relay  *Relay
	ctl    *controller
	id     string
}

// owners admits the user whose workspace it is.
type owners struct{ id string }

func (o owners) Allow(u hypha.User, _ string) error {
	if u.ID != o.id {
		return hypha.Errorf("PermissionError", "User '%s' is not authorized", u.ID)
	}
	return nil
}

func newService(t testing.TB, user string, maximum int, limits Limits) *serviceRig {
	t.Helper()
	s := &serviceRig{t: t, server: systems.Hypha(t)}
	clientID := fmt.Sprintf("relay-test-%d", time.Now().UnixNano())
	var err error
	s.relay, err = New(Config{
		App: app, Client: "ws-user-" + user + "/" + clientID, MaxOngoing: maximum, Policy: owners{user}, Limits: limits,
		Log: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.client, err = hypha.Connect(t.Context(), hypha.Config{
		ServerURL: s.server.URL, Workspace: "ws-user-" + user, ClientID: clientID,
		Token:  func(context.Context) (string, error) { return s.server.Token(user) },
		Logger: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)), Router: s.relay, Limits: hypha.Limits{SpoolDir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.Close() })
	serve(t, "relay", func(ctx context.Context) error { return s.relay.Run(ctx, s.client) })
	s.ctl = newController(t, s.relay)
	s.id = s.client.Info().Address() + ":" + app
	if err := s.client.RegisterOpaque(t.Context(), s.description()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *serviceRig) description() hypha.OpaqueService {
	config := map[string]any{"visibility": "public", "require_context": true}
	object := map[string]any{"id": app, "name": app, "type": "bioengine-apps", "config": config}
	for _, name := range []string{"echo", "where", "hang", "sleep", "report", "get_load"} {
		object[name] = map[string]any{
			"_rtype": "method", "_rtarget": s.client.Info().Address(), "_rmethod": "services.demo." + name, "_rpromise": "*",
			"_rserver": s.client.Info().PublicBaseURL, "_rname": name,
		}
	}
	return hypha.OpaqueService{
		Record:   map[string]any{"id": app, "name": app, "type": "bioengine-apps", "config": config},
		Describe: func(hypha.Header) ([]byte, error) { return pack(object), nil },
	}
}

// script is a running caller.
type script struct {
	t   testing.TB
	cmd *exec.Cmd
	out *bufio.Reader
}

func (s *serviceRig) call(user, scenario string) *script {
	s.t.Helper()
	python, err := bed.Python(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := s.server.Token(user)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, python, filepath.Join("testdata", "caller.py"), scenario, s.id)
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "HYPHA_URL="+s.server.URL, "HYPHA_TOKEN="+token, "HYPHA_WORKSPACE=ws-user-"+user)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &script{t: s.t, cmd: cmd, out: bufio.NewReader(stdout)}
}

// finish waits for success and returns what was printed.
func (p *script) finish() string {
	p.t.Helper()
	text, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("%v: %v\n%s", p.cmd.Args, err, text)
	}
	return string(text)
}

// until waits for a state that nobody announces.
func (s *serviceRig) until(what string, reached func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// empty fails unless all calls have ended and no argument was decoded.
func (s *serviceRig) empty() {
	s.t.Helper()
	s.until("all calls have ended", func() bool { return s.relay.Stats().Open == 0 })
	stats := s.relay.Stats()
	if stats.Accepted != stats.Answered+stats.Failed+stats.Left || stats.Ongoing != 0 || stats.HeldBytes != 0 {
		s.t.Errorf("after all calls: %+v", stats)
	}
	if own := s.client.Stats(); own.DecodedCallBytes != 0 || own.BufferedMemory != 0 || own.BufferedDisk != 0 {
		s.t.Errorf("connection after all calls: %+v", own)
	}
}

func TestPythonCallers(t *testing.T) {
	t.Run("values_callbacks_and_a_hundred_at_once_over_two_replicas", func(t *testing.T) {
		s := newService(t, "relay", 100, Limits{WaitingPerCaller: 100})
		startProgram(t, s.ctl, "r1x1")
		startProgram(t, s.ctl, "r1x2")
		for _, scenario := range []string{"shared", "values", "callbacks"} {
			s.call("relay", scenario).finish()
		}
		s.call("relay-stranger", "stranger").finish()
		s.empty()
	})
	t.Run("killed_replica_fails_its_calls_once_and_no_other", func(t *testing.T) {
		s := newService(t, "relay", 100, Limits{WaitingPerCaller: 100})
		one, two := startProgram(t, s.ctl, "r1x1"), startProgram(t, s.ctl, "r1x2")
		caller := s.call("relay", "crash")
		s.until("100 calls run", func() bool { return one.running()+two.running() == 100 })
		one.kill()
		s.ctl.lose("r1x1")
		close(two.resume)
		text := caller.finish()
		var lost []int64
		if err := json.Unmarshal([]byte(strings.SplitN(text, "\n", 2)[0]), &lost); err != nil {
			t.Fatal(err)
		}
		slices.Sort(one.ran)
		if !slices.Equal(lost, one.ran) {
			t.Errorf("lost %v, the killed replica ran %v", lost, one.ran)
		}
		if n := one.running() + two.running(); n != 100 {
			t.Errorf("%d runs of 100 calls", n)
		}
		s.empty()
	})
	t.Run("link_that_breaks_and_comes_back_loses_no_call", func(t *testing.T) {
		s := newService(t, "relay", 100, Limits{})
		one := startProgram(t, s.ctl, "r1x1")
		caller := s.call("relay", "blip")
		s.until("20 calls run", func() bool { return one.running() == 20 })
		one.mu.Lock()
		one.conn.Close("blip")
		one.mu.Unlock()
		one.dial()
		close(one.resume)
		caller.finish()
		s.empty()
	})
	t.Run("waiting_and_running_calls_outlive_their_callers_timeout", func(t *testing.T) {
		s := newService(t, "relay", 1, Limits{})
		startProgram(t, s.ctl, "r1x1")
		s.call("relay", "patience").finish()
		s.empty()
	})
	t.Run("full_line_refuses", func(t *testing.T) {
		s := newService(t, "relay", 1, Limits{WaitingPerCaller: 5})
		startProgram(t, s.ctl, "r1x1")
		s.call("relay", "full").finish()
		s.empty()
	})
	t.Run("caller_that_is_killed_has_its_call_cancelled", func(t *testing.T) {
		s := newService(t, "relay", 1, Limits{})
		one := startProgram(t, s.ctl, "r1x1")
		caller := s.call("relay", "leaves")
		s.until("the call runs", func() bool { return one.running() == 1 })
		if err := caller.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		s.until("the replica has cancelled", func() bool {
			one.mu.Lock()
			defer one.mu.Unlock()
			return len(one.open) == 0 && len(one.told) >= 2
		})
		s.empty()
		if stats := s.relay.Stats(); stats.Left != 1 {
			t.Errorf("after the caller left: %+v", stats)
		}
	})
}
