package hypha

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// states records what OnState is told.
type states struct {
	mu   sync.Mutex // guards the following field
	list []bool
	came chan bool
}

func newStates() *states { return &states{came: make(chan bool, 1000)} }

func (s *states) tell(connected bool, _ error) {
	s.mu.Lock()
	s.list = append(s.list, connected)
	s.mu.Unlock()
	s.came <- connected
}

// await waits until the given state is told.
func (s *states) await(t testing.TB, want bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-s.came:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("connected=%v was not told within %s", want, patience)
		}
	}
}

// listed counts our services at the server.
func listed(t testing.TB, c *Client) map[string]int {
	t.Helper()
	value, err := c.Call(testContext(t), Manager, "list_services", Kwargs{"query": map[string]any{"client_id": c.Info().ClientID}})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, record := range recordsOf(value) {
		id, _ := record["id"].(string)
		count[strings.TrimPrefix(id, c.Address()+":")]++
	}
	return count
}

func startOwnHypha(t testing.TB, config bed.HyphaConfig) *bed.Hypha {
	t.Helper()
	h, err := bed.StartHypha(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// TestReconnect crashes and stops a real server under a client with services, an open call and a returned function.
func TestReconnect(t *testing.T) {
	t.Parallel()
	h := startOwnHypha(t, bed.HyphaConfig{})
	told := newStates()
	config := account(t, h, "phoenix")
	config.ClientID, config.OnState = "phoenix", told.tell
	times := defaultTiming
	times.backoff = 100 * time.Millisecond
	c := mustConnect(t, config, times)
	told.await(t, true)
	ctx := testContext(t)
	if err := c.Register(ctx, echoService("before")); err != nil {
		t.Fatal(err)
	}
	manager := c.Info().ManagerID
	for round, stop := range []func() error{h.Kill, func() error { return nil }} { // Restart ends a living server by SIGTERM
		t.Run(fmt.Sprintf("round_%d", round), func(t *testing.T) {
			open := make(chan error, 1)
			go func() {
				_, err := c.Call(ctx, c.Address(), "services.before.slow", 30)
				open <- err
			}()
			until(t, "the slow call runs", func() bool { return c.sessions.count() > 0 })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			during := make(chan error, 1)
			if round == 0 {
				told.await(t, false)
				go func() { during <- c.Register(ctx, echoService("during")) }()
			}
			if err := h.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			told.await(t, true)
			if err := <-open; !errors.Is(err, ErrConnectionLost) {
				t.Errorf("the open call ended with %v", err)
			}
			if round == 0 {
				if err := <-during; err != nil {
					t.Error(err)
				}
			}
			if c.Info().ManagerID == manager {
				t.Error("the manager has the same id after a restart")
			}
			manager = c.Info().ManagerID
			if got, err := c.Call(ctx, Manager, "echo", "x"); err != nil || got != "x" {
				t.Errorf("a call of the manager after the reconnect: %v, %v", got, err)
			}
			runScript(t, h, "phoenix", "caller.py", "arguments", c.Address()+":before")
		})
	}
	if err := c.Register(ctx, echoService("after")); err != nil {
		t.Fatal(err)
	}
	got := listed(t, c)
	if len(got) != 4 || got["built-in"] != 1 || got["before"] != 1 || got["during"] != 1 || got["after"] != 1 {
		t.Errorf("registered: %v", got)
	}
	if err := c.Unregister(ctx, "during"); err != nil {
		t.Error(err)
	}
	if got := listed(t, c); got["during"] != 0 {
		t.Errorf("after unregistering: %v", got)
	}
}

// TestReconnect_of_an_anonymous_client_keeps_its_workspace: only the reconnection token can bring it back.
func TestReconnect_of_an_anonymous_client_keeps_its_workspace(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	told := newStates()
	c := mustConnect(t, Config{ServerURL: h.URL, OnState: told.tell, Logger: logger(t)})
	told.await(t, true)
	before := c.Info()
	if !before.User.IsAnonymous || before.Workspace == "" || before.ServerVersion == "" || before.ManagerID == "" || before.PublicBaseURL != h.URL {
		t.Errorf("info: %+v", before)
	}
	cut(c)
	told.await(t, false)
	told.await(t, true)
	if after := c.Info(); after.Address() != before.Address() || after.User.ID != before.User.ID {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// cut breaks the client's socket, as a network does.
func cut(c *Client) {
	conn, _ := c.live()
	conn.sock.close(false)
}

func TestReconnect_falls_back_to_the_token_when_the_reconnection_token_is_refused(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	told := newStates()
	config := account(t, h, "fallback")
	asked := 0
	mint := config.Token
	config.Token = func(ctx context.Context) (string, error) { asked++; return mint(ctx) }
	config.OnState = told.tell
	c := mustConnect(t, config)
	told.await(t, true)
	expired, err := h.Token("fallback", bed.Expires(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	c.keepToken(expired)
	cut(c)
	told.await(t, false)
	told.await(t, true)
	if asked != 2 {
		t.Errorf("the token was read %d times, want once at each connect", asked)
	}
}

// TestReconnect_after_a_duplicate: a newcomer with a live client's id is refused and wrecks that client at the server, which leaves
// its socket open. The victim must notice and come back.
func TestReconnect_after_a_duplicate(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	for name, notice := range map[string]func(*testing.T, *Client){
		"noticed_by_calling": func(t *testing.T, c *Client) {
			if _, err := c.Call(testContext(t), Manager, "echo", "x"); err == nil {
				t.Log("the call went through")
			}
		},
		"noticed_by_watching": func(*testing.T, *Client) {},
	} {
		t.Run(name, func(t *testing.T) {
			told := newStates()
			config := account(t, h, "twin-"+name[len("noticed_by_"):])
			config.ClientID, config.OnState = "twin", told.tell
			times := defaultTiming
			if name == "noticed_by_watching" {
				times.secondCheck, times.check = 200*time.Millisecond, 200*time.Millisecond
			}
			victim := mustConnect(t, config, times)
			told.await(t, true)
			if err := victim.Register(testContext(t), echoService("echo")); err != nil {
				t.Fatal(err)
			}
			config.OnState = nil
			_, err := Connect(testContext(t), config)
			var refusal *ConnectError
			if !errors.As(err, &refusal) || refusal.Kind != KindDuplicate {
				t.Fatalf("the newcomer got %v", err)
			}
			notice(t, victim)
			told.await(t, false)
			told.await(t, true)
			if got := listed(t, victim); got["built-in"] != 1 || got["echo"] != 1 {
				t.Errorf("registered: %v", got)
			}
			runScript(t, h, strings.TrimPrefix(victim.Info().Workspace, "ws-user-"), "caller.py", "arguments", victim.Address()+":echo")
		})
	}
}

func TestConnect_classifies_refusals(t *testing.T) {
	h := systems.Hypha(t)
	token := func(options ...bed.TokenOption) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return h.Token("refused", options...) }
	}
	text := func(text string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, err }
	}
	for name, test := range map[string]struct {
		config Config
		want   Kind
	}{
		"expired token":       {Config{Token: token(bed.Expires(-time.Minute))}, KindCredentials},
		"malformed token":     {Config{Token: text("garbage", nil)}, KindCredentials},
		"unreadable token":    {Config{Token: text("", errors.New("no file"))}, KindCredentials},
		"foreign workspace":   {Config{Token: token(), Workspace: "ws-user-somebody-else"}, KindDenied},
		"unknown workspace":   {Config{Token: token(), Workspace: "no-such-workspace"}, KindDenied},
		"anonymous elsewhere": {Config{Workspace: "ws-user-refused"}, KindDenied},
		"nobody there":        {Config{ServerURL: "http://127.0.0.1:1"}, KindNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			setDefault(&test.config.ServerURL, h.URL)
			c, err := Connect(testContext(t), test.config)
			if err == nil {
				_ = c.Close()
			}
			var refusal *ConnectError
			if !errors.As(err, &refusal) || refusal.Kind != test.want {
				t.Errorf("%v, want kind %s", err, test.want)
			}
			t.Log(err)
		})
	}
	for name, options := range map[string][]bed.TokenOption{
		"token of another client id": {bed.ClientID("somebody")}, "specialized token": {bed.Scope("file:download")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Connect(testContext(t), Config{ServerURL: h.URL, Token: token(options...), ClientID: "me"})
			var refusal *ConnectError
			if !errors.As(err, &refusal) {
				t.Errorf("not refused: %v", err)
			}
			t.Log(err)
		})
	}
	if _, err := Connect(testContext(t), Config{ServerURL: "ftp://x"}); err == nil {
		t.Error("a URL of another scheme was taken")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	config := account(t, h, "closing")
	config.ClientID = "closing"
	c := mustConnect(t, config)
	if err := c.Register(testContext(t), echoService("echo")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(testContext(t), c.Address(), "services.echo.slow", 60)
		ended <- err
	}()
	until(t, "the slow call runs", func() bool { return c.sessions.count() > 0 })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the open call ended with %v", err)
	}
	if _, err := c.Call(testContext(t), Manager, "echo", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
	if err := c.Register(testContext(t), echoService("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("registering after Close: %v", err)
	}
	<-c.Done()
	if !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("Err is %v", c.Err())
	}
	again := mustConnect(t, config) // the id is free at once
	if got := listed(t, again); got["echo"] != 0 {
		t.Errorf("the closed client's services are still there: %v", got)
	}
}

func TestRegister_refuses_before_asking_the_server(t *testing.T) {
	c := mustConnect(t, account(t, systems.Hypha(t), "bad"))
	for name, service := range map[string]Service{
		"slash": {ID: "a/b"}, "dot": {ID: "a.b"}, "built-in": {ID: "built-in"}, "private": {ID: "_x"}, "none": {},
		"long description": {ID: "x", Description: strings.Repeat("x", 1025)},
		"no handler":       {ID: "x", Methods: []Method{{Name: "m"}}},
		"twice":            {ID: "x", Methods: []Method{{Name: "m", Handler: echo}, {Name: "m", Handler: echo}}},
		"bad default":      {ID: "x", Methods: []Method{{Name: "m", Handler: echo, Params: []Param{{Name: "p", Default: make(chan int)}}}}},
	} {
		if err := c.Register(testContext(t), service); err == nil {
			t.Errorf("%s: registered", name)
		}
	}
}

// TestReadOnly: a token that may only read serves for calls; offering services fails with the server's error.
func TestReadOnly(t *testing.T) {
	h := systems.Hypha(t)
	mustConnect(t, account(t, h, "owner"))
	config := account(t, h, "reader", bed.Workspace("ws-user-owner", "r"), bed.Current("ws-user-owner"))
	config.Workspace = "ws-user-owner"
	c := mustConnect(t, config)
	if _, err := c.Call(testContext(t), Manager, "list_services"); err != nil {
		t.Errorf("a call: %v", err)
	}
	err := c.Register(testContext(t), echoService("echo"))
	if !isClass(err, "PermissionError") || c.registry.get("echo") != nil {
		t.Errorf("registering: %v", err)
	}
}
