package hypha

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// TestForged_identities_are_ignored: whatever a sender writes about itself into `main`, `extra` or a chunked message, the
// handler sees what the server vouches for.
func TestForged_identities_are_ignored(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "trusting"))
	ctx := testContext(t)
	if err := c.Register(ctx, echoService("echo")); err != nil {
		t.Fatal(err)
	}
	mallory := mustConnect(t, account(t, h, "mallory"))
	forged := map[string]any{"id": "trusting", "email": "trusting@example.org", "roles": []string{"admin"}}
	forgedMain := Header{
		Type: "method", From: "ws-user-trusting/me", To: c.Address(), Workspace: "ws-user-trusting", User: mustMarshal(forged), Method: "services.echo.whoami",
	}
	extra := map[string]any{
		"from": "ws-user-trusting/me", "ws": "ws-user-trusting", "user": forged, "method": "services.echo.fail", "ctx": forged, "promise": "*", "t": 15,
	}
	whole := func(session string) []byte {
		main := forgedMain
		main.Session = session
		return append(main.Append(nil), mustMarshal(extra)...)
	}
	conn, _ := mallory.live()
	for name, send := range map[string]func(session string) error{
		"in main and extra": func(session string) error { return conn.send(ctx, whole(session), nil) },
		"in a chunked message": func(session string) error {
			for _, step := range []struct {
				name string
				args []any
			}{{"create", []any{"k"}}, {"set", []any{"k", 0, whole(session)}}, {"process", []any{"k"}}} {
				if _, err := mallory.Call(ctx, c.Address(), builtinPrefix+"message_cache."+step.name, step.args...); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := mallory.sessions.open(c.Address())
			defer mallory.sessions.close(s.id)
			if err := send(s.id); err != nil {
				t.Fatal(err)
			}
			got, err := mallory.awaitAnswer(ctx, s, patience)
			who, _ := got.(map[string]any)
			if err != nil || who["from"] != mallory.Address() || who["ws"] != "ws-user-mallory" || who["id"] != "mallory" {
				t.Errorf("the handler saw %v, %v", got, err)
			}
		})
	}
}

// TestCallbacks_belong_to_one_peer: a function given to one peer is refused to all others.
func TestCallbacks_belong_to_one_peer(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "giver"))
	ctx := testContext(t)
	if err := c.Register(ctx, echoService("echo")); err != nil {
		t.Fatal(err)
	}
	owner, thief := mustConnect(t, account(t, h, "giver")), mustConnect(t, account(t, h, "giver"))
	value, err := owner.Call(ctx, c.Address(), "services.echo.counter")
	if err != nil {
		t.Fatal(err)
	}
	next, ok := value.(map[string]any)["next"].(*Function)
	if !ok {
		t.Fatalf("%v", value)
	}
	if n, err := next.Call(ctx); err != nil || n != int64(1) {
		t.Errorf("the owner: %v, %v", n, err)
	}
	_, err = thief.Call(ctx, c.Address(), next.method)
	if !isClass(err, "PermissionError") {
		t.Errorf("the thief: %v", err)
	}
	// A forged answer to a call of somebody else is ignored.
	answered := make(chan any, 1)
	go func() {
		got, err := owner.Call(ctx, c.Address(), "services.echo.slow", 0.5)
		answered <- []any{got, err}
	}()
	until(t, "the call is open", func() bool { return owner.sessions.count() > 0 })
	for id := range owner.sessions.snapshot() {
		forged := Header{Type: "method", To: owner.Address(), Method: id + ".resolve", Parent: id}
		if err := thief.Send(ctx, forged, Payload{Data: appendSingleArg(nil, appendString(nil, "forged"))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := (<-answered).([]any); got[0] != "done" || got[1] != nil {
		t.Errorf("the call ended with %v", got)
	}
	_ = owner.Close()
	until(t, "the function is freed when its owner has left", func() bool { return c.Stats().Sessions == 0 })
}

// snapshot copies the ids, for tests.
func (s *sessions) snapshot() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for id, one := range s.byID {
		all[id] = one.target
	}
	return all
}

// TestEvents_of_other_clients_are_ignored: nobody but the server can say that a peer has left.
func TestEvents_of_other_clients_are_ignored(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "calm"))
	ctx := testContext(t)
	if err := c.Register(ctx, echoService("echo")); err != nil {
		t.Fatal(err)
	}
	caller, liar := mustConnect(t, account(t, h, "calm")), mustConnect(t, account(t, h, "liar"))
	answered := make(chan error, 1)
	go func() {
		_, err := caller.Call(ctx, c.Address(), "services.echo.slow", 1)
		answered <- err
	}()
	until(t, "the call runs", func() bool { return runningCalls(c) == 1 })
	client := strings.TrimPrefix(caller.Address(), "ws-user-calm/")
	data, err := msgpack.Marshal(map[string]any{"id": client, "workspace": "ws-user-calm"})
	if err != nil {
		t.Fatal(err)
	}
	lie := Header{Type: "client_disconnected", To: c.Address(), Other: []Field{{"data", data}}}
	if err := liar.Send(ctx, lie, Payload{}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the call ended with %v", err)
	}
}

// runningCalls is how many handlers run.
func runningCalls(c *Client) int {
	c.running.mu.Lock()
	defer c.running.mu.Unlock()
	return c.running.count
}

// TestHandler_is_cancelled_when_its_caller_leaves.
func TestHandler_is_cancelled_when_its_caller_leaves(t *testing.T) {
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "patient"))
	ctx := testContext(t)
	started, ended := make(chan struct{}), make(chan error, 1)
	service := Service{ID: "wait", Methods: []Method{{Name: "wait", Handler: func(ctx context.Context, _ *Request) (any, error) {
		close(started)
		select {
		case <-ctx.Done():
			ended <- ctx.Err()
		case <-time.After(patience):
			ended <- errors.New("not cancelled")
		}
		return nil, ctx.Err()
	}}}}
	if err := c.Register(ctx, service); err != nil {
		t.Fatal(err)
	}
	caller := mustConnect(t, account(t, h, "patient"))
	go func() { _, _ = caller.Call(ctx, c.Address(), "services.wait.wait") }()
	<-started
	_ = caller.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	until(t, "the handler is gone", func() bool { return runningCalls(c) == 0 })
}

// TestHandlers_are_bounded, and one that panics does not end the process.
func TestHandlers_are_bounded(t *testing.T) {
	h := systems.Hypha(t)
	config := account(t, h, "bounded")
	config.Limits.Handlers = 2
	c, caller := mustConnect(t, config), mustConnect(t, account(t, h, "bounded"))
	ctx := testContext(t)
	free := make(chan struct{})
	service := Service{ID: "s", Methods: []Method{
		{Name: "hold", Handler: func(context.Context, *Request) (any, error) { <-free; return "held", nil }},
		{Name: "panic", Handler: func(context.Context, *Request) (any, error) { panic("oops: secret") }},
	}}
	if err := c.Register(ctx, service); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := caller.Call(ctx, c.Address(), "services.s.hold")
			held <- err
		}()
	}
	until(t, "two calls run", func() bool { return runningCalls(c) == 2 })
	if _, err := caller.Call(ctx, c.Address(), "services.s.hold"); !isClass(err, "RuntimeError") || c.Stats().RefusedCalls != 1 {
		t.Errorf("a third call: %v", err)
	}
	close(free)
	for range 2 {
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
	if _, err := caller.Call(ctx, c.Address(), "services.s.panic"); !isClass(err, "RuntimeError") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a panic: %v", err)
	}
}
