package hypha

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// wire is a network between a client and a server that can be made to swallow everything.
type wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex // guards the following fields
	mute  bool
	conns []net.Conn
	wait  sync.WaitGroup
}

func newWire(t testing.TB, h *bed.Hypha) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, target: strings.TrimPrefix(h.URL, "http://")}
	w.wait.Go(w.accept)
	t.Cleanup(func() {
		listener.Close()
		w.cut()
		w.wait.Wait()
	})
	return w
}

func (w *wire) url() string { return "http://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		if err != nil {
			near.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		w.wait.Go(func() { w.pump(near, far) })
		w.wait.Go(func() { w.pump(far, near) })
	}
}

func (w *wire) pump(from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		mute := w.mute
		w.mu.Unlock()
		if mute {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

func (w *wire) silence(mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = mute
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
}

// TestDead_server_is_noticed: the network swallows everything without closing anything.
func TestDead_server_is_noticed(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	w := newWire(t, h)
	told := newStates()
	config := account(t, h, "lonely")
	config.ServerURL, config.OnState = w.url(), told.tell
	times := defaultTiming
	times.ping, times.deadAfter, times.backoff = 100*time.Millisecond, 500*time.Millisecond, 100*time.Millisecond
	c := mustConnect(t, config, times)
	told.await(t, true)
	if err := c.Register(testContext(t), echoService("echo")); err != nil {
		t.Fatal(err)
	}
	w.silence(true)
	start := time.Now()
	told.await(t, false)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("noticed after %s", took)
	}
	w.silence(false)
	w.cut()
	told.await(t, true)
	runScript(t, h, "lonely", "caller.py", "arguments", c.Address()+":echo")
}

// TestNetwork_that_breaks_again_and_again: what was registered is there after each break, and the breaks are survived in
// whatever state they find the client.
func TestNetwork_that_breaks_again_and_again(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	w := newWire(t, h)
	config := account(t, h, "shaky")
	config.ServerURL = w.url()
	times := defaultTiming
	times.backoff = 50 * time.Millisecond
	c := mustConnect(t, config, times)
	ctx := testContext(t)
	if err := c.Register(ctx, echoService("first")); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		time.Sleep(time.Duration(i) * 37 * time.Millisecond) // at different points of the reconnect
		w.cut()
	}
	wait.Go(func() {
		if err := c.Register(ctx, echoService("second")); err != nil {
			t.Error(err)
		}
	})
	w.cut()
	wait.Wait()
	got := listed(t, c)
	if len(got) != 3 || got["built-in"] != 1 || got["first"] != 1 || got["second"] != 1 {
		t.Errorf("registered: %v", got)
	}
}

// TestSessions_do_not_leak: a thousand calls with callbacks leave nothing behind.
func TestSessions_do_not_leak(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	provider, caller := mustConnect(t, account(t, h, "tidy")), mustConnect(t, account(t, h, "tidy"))
	if err := provider.Register(testContext(t), echoService("echo")); err != nil {
		t.Fatal(err)
	}
	same := Callback(echoArgument)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 50 {
				got, err := caller.Call(testContext(t), provider.Address(), "services.echo.apply", same, worker*1000+i)
				if err != nil || got != int64(worker*1000+i) {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wait.Wait()
	until(t, "all sessions are gone", func() bool {
		return provider.Stats().Sessions == 0 && caller.Stats().Sessions == 0 && runningCalls(provider) == 0 && runningCalls(caller) == 0
	})
}
