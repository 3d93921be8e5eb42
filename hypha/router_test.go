package hypha

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// mirror is a Router that answers each call with its first argument, whose bytes it never decodes.
type mirror struct {
	t      testing.TB
	client *Client
	wait   sync.WaitGroup
	// forgetful mirrors keep nothing of what came, for benchmarks.
	forgetful bool

	mu      sync.Mutex // guards the following fields
	frames  []Frame    // all that came, released ones without payload
	extras  [][]byte
	spooled int
	gone    []string
	came    chan string // methods, as they come
}

func newMirror(t testing.TB) *mirror { return &mirror{t: t, came: make(chan string, 10000)} }

func (m *mirror) PeerGone(peer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = append(m.gone, peer)
}

func (m *mirror) Route(f Frame) {
	m.wait.Go(func() {
		defer f.Release()
		err := m.answer(f)
		gone := errors.Is(err, context.Canceled) || errors.Is(err, ErrPeerGone) // as soon as it has the last piece
		if err != nil && !gone {
			m.t.Errorf("answer %s: %v", f.Header.Method, err)
		}
	})
}

func (m *mirror) answer(f Frame) error {
	interval, promise, ok := PromiseInterval(&f.Extra)
	if f.Header.Session != "" && (!promise || !ok || interval != 15*time.Second) {
		m.t.Errorf("%s: promise %v every %s, ok %v", f.Header.Method, promise, interval, ok)
	}
	extra, err := f.Extra.bytes()
	if err != nil {
		return err
	}
	if !m.forgetful {
		m.remember(f, extra)
	}
	if f.Header.Session == "" {
		return nil
	}
	packed := firstArgument(extra)
	answer := Header{Type: "method", To: f.Header.From, Method: f.Header.Session + ".resolve", Parent: f.Header.Session}
	body := appendSingleArg(nil, packed)
	if len(body) < 1000 {
		return m.client.Send(m.client.ctx, answer, Payload{Data: body})
	}
	return m.client.Send(m.client.ctx, answer, Payload{Reader: io.MultiReader(bytes.NewReader(body)), Size: int64(len(body))})
}

func (m *mirror) remember(f Frame, extra []byte) {
	m.mu.Lock()
	if f.Extra.Reader != nil {
		m.spooled++
	}
	m.frames = append(m.frames, f)
	m.extras = append(m.extras, slices.Clone(extra))
	m.mu.Unlock()
	m.came <- f.Header.Method
}

// firstArgument is the packed first element of args, nil's if there is none.
func firstArgument(extra []byte) []byte {
	r := unpacker{buf: extra}
	for range r.mapLen() {
		if string(r.bytesOfString()) != "args" {
			r.skip()
			continue
		}
		if r.arrayLen() > 0 {
			start := r.pos
			r.skip()
			return extra[start:r.pos]
		}
	}
	return appendNil(nil)
}

// mirrorService is an opaque service called id with one member.
func mirrorService(id string, visibility string) func(c *Client) OpaqueService {
	return func(c *Client) OpaqueService {
		return OpaqueService{
			Record: map[string]any{"id": id, "description": "opaque", "config": map[string]any{"visibility": visibility}},
			Describe: func(Header) ([]byte, error) {
				return msgpack.Marshal(map[string]any{
					"id": id, "name": id, "type": "generic", "config": map[string]any{"visibility": visibility},
					"echo": map[string]any{
						"_rtype": "method", "_rtarget": c.Address(), "_rmethod": "services." + id + ".echo", "_rpromise": "*",
						"_rserver": c.Info().PublicBaseURL, "_rname": "echo",
					},
				})
			},
		}
	}
}

// mirrorClient is a client whose opaque service "mirror" is served by a mirror.
func mirrorClient(t *testing.T, config Config) (*Client, *mirror) {
	t.Helper()
	m := newMirror(t)
	config.Router = m
	config.Limits.SpoolDir = t.TempDir()
	c := mustConnect(t, config)
	m.client = c
	if err := c.RegisterOpaque(testContext(t), mirrorService("mirror", "public")(c)); err != nil {
		t.Fatal(err)
	}
	return c, m
}

func TestRouter(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c, m := mirrorClient(t, account(t, h, "router"))
	for _, scenario := range []string{"values", "numpy", "large"} {
		t.Run(scenario+"_pass_through", func(t *testing.T) {
			runScript(t, h, "router", "caller.py", scenario, c.Address()+":mirror")
		})
	}
	t.Run("foreign_workspace", func(t *testing.T) {
		runScript(t, h, "router-stranger", "caller.py", "values", c.Address()+":mirror")
	})
	m.wait.Wait()
	if m.spooled == 0 {
		t.Error("no message went through a file")
	}
	stats := c.Stats()
	if stats.DecodedCallBytes != 0 || stats.BufferedMemory != 0 || stats.BufferedDisk != 0 {
		t.Errorf("after all calls: %+v", stats)
	}
}

// TestRouter_gets_arguments_untouched sends a value that no codec knows and compares bytes.
func TestRouter_gets_arguments_untouched(t *testing.T) {
	h := systems.Hypha(t)
	c, m := mirrorClient(t, account(t, h, "untouched"))
	caller := mustConnect(t, account(t, h, "untouched-caller"))
	value, err := msgpack.Marshal(map[string]any{"_rtype": "nobody-knows-this", "_rvalue": []byte{0xc1, 0xff, 0}})
	if err != nil {
		t.Fatal(err)
	}
	value = append(appendMapLen(value[:0:0], 1), append(appendString(nil, "odd"), value...)...)
	got, err := caller.Call(testContext(t), c.Address(), "services.mirror.echo", Raw(value))
	if err != nil {
		t.Fatal(err)
	}
	m.wait.Wait()
	if len(m.extras) != 1 || !bytes.Equal(firstArgument(m.extras[0]), value) {
		t.Errorf("the router saw % x", m.extras)
	}
	odd, _ := got.(map[string]any)["odd"].(map[string]any)
	if odd["_rtype"] != "nobody-knows-this" || !bytes.Equal(odd["_rvalue"].([]byte), []byte{0xc1, 0xff, 0}) {
		t.Errorf("the caller got %v", got)
	}
}

func TestRouter_gets_tags_and_departures(t *testing.T) {
	h := systems.Hypha(t)
	c, m := mirrorClient(t, account(t, h, "tags"))
	ctx := testContext(t)
	other := mustConnect(t, account(t, h, "tags"))
	for _, method := range []string{"r1x2-abc.callback", "services._rintf_r1x2-abc.read", "r9x9-zzz.gone"} {
		if got, err := other.Call(ctx, c.Address(), method, "x"); err != nil || got != "x" {
			t.Errorf("%s: %v, %v", method, got, err)
		}
	}
	if _, err := other.Call(ctx, c.Address(), "services.unknown.echo", 1); err == nil || !stale(err) {
		t.Errorf("an unknown service answered %v", err)
	}
	address := other.Address()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the router hears that the peer has left", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Contains(m.gone, address)
	})
}

// TestRouter_hears_heartbeats_of_uploads: a large message for a session of the Router tells it that it proceeds.
func TestRouter_hears_heartbeats_of_uploads(t *testing.T) {
	h := systems.Hypha(t)
	c, m := mirrorClient(t, account(t, h, "beats"))
	other := mustConnect(t, account(t, h, "beats"))
	ctx := testContext(t)
	key := "r1x1-session"
	call := func(name string, args ...any) {
		t.Helper()
		if _, err := other.Call(ctx, c.Address(), builtinPrefix+"message_cache."+name, args...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	call("create", key, true)
	inner := Header{Type: "method", From: "forged/from", To: "forged/to", Workspace: "forged", Method: key + ".resolve", User: mustPack(t, "forged")}
	message := append(inner.Append(nil), appendSingleArg(nil, appendString(nil, "result"))...)
	call("set", key, 1, message[20:], true)
	call("set", Kwargs{"key": key, "index": 0, "data": message[:20], "heartbeat": true})
	call("process", key, true)
	if first, second := <-m.came, <-m.came; first != key+".heartbeat" || second != key+".resolve" {
		t.Errorf("the router got %s, %s", first, second)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frames {
		user, err := ParseUser(f.Header.User)
		if err != nil || f.Header.From != other.Address() || f.Header.To != c.Address() || f.Header.Workspace != "ws-user-beats" || user.ID != "beats" {
			t.Errorf("%s came with a forged header: %+v (%v)", f.Header.Method, f.Header, err)
		}
	}
}

func mustPack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := encodePlain(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpaqueService_visibility(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	m := newMirror(t)
	config := account(t, h, "closed")
	config.Router = m
	c := mustConnect(t, config)
	m.client = c
	ctx := testContext(t)
	if err := c.RegisterOpaque(ctx, mirrorService("secret", "protected")(c)); err != nil {
		t.Fatal(err)
	}
	stranger := mustConnect(t, account(t, h, "closed-stranger"))
	for what, call := range map[string]func() error{
		"call": func() error {
			_, err := stranger.Call(ctx, c.Address(), "services.secret.echo", 1)
			return err
		},
		"get_service": func() error {
			_, err := stranger.Call(ctx, c.Address(), "services.built-in.get_service", "secret")
			return err
		},
	} {
		var remote *RemoteError
		if err := call(); !errors.As(err, &remote) || remote.Class != "PermissionError" {
			t.Errorf("%s of a stranger: %v", what, err)
		}
	}
	friend := mustConnect(t, account(t, h, "closed"))
	service, err := friend.GetService(ctx, c.Address()+":secret", GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := service.Call(ctx, "echo", "hi"); err != nil || got != "hi" {
		t.Errorf("a friend got %v, %v", got, err)
	}
}
