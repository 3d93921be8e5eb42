package hypha

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"go.uber.org/zap"
)

// running are the handlers at work, by caller.
type running struct {
	mu       sync.Mutex // guards the following fields
	byCaller map[string]map[*inbound]context.CancelFunc
	count    int
}

func newRunning() *running { return &running{byCaller: map[string]map[*inbound]context.CancelFunc{}} }

// add registers a call unless limit run already.
func (r *running) add(in *inbound, cancel context.CancelFunc, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count >= limit {
		return false
	}
	calls := r.byCaller[in.header.From]
	if calls == nil {
		calls = map[*inbound]context.CancelFunc{}
		r.byCaller[in.header.From] = calls
	}
	calls[in] = cancel
	r.count++
	return true
}

func (r *running) remove(in *inbound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.byCaller[in.header.From]
	delete(calls, in)
	r.count--
	if len(calls) == 0 {
		delete(r.byCaller, in.header.From)
	}
}

// cancelCaller cancels the handlers that run for a peer that left.
func (r *running) cancelCaller(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.byCaller[peer] {
		cancel()
	}
}

// handler produces the answer to decoded arguments.
type handler func(ctx context.Context, a arguments) (any, error)

// callMethod starts the handler of an own service's method.
func (c *Client) callMethod(in *inbound, entry *entry, path string) {
	method := entry.methods[path]
	if method == nil {
		c.refuse(in, expired(in.header))
		return
	}
	c.spawn(in, func(ctx context.Context, a arguments) (any, error) {
		args, err := bind(method, a)
		if err != nil {
			return nil, err
		}
		caller, err := callerOf(in.header)
		if err != nil {
			return nil, err
		}
		return method.Handler(ctx, &Request{Caller: caller, Args: args})
	})
}

// spawn runs a handler on its own goroutine, if not too many run already.
func (c *Client) spawn(in *inbound, handle handler) {
	ctx, cancel := context.WithCancel(c.ctx)
	if !c.running.add(in, cancel, c.limits.Handlers) {
		cancel()
		c.stats.refusedCalls.Add(1)
		c.refuse(in, Errorf("RuntimeError", "%d calls run already; try again later", c.limits.Handlers))
		return
	}
	c.wait.Go(func() {
		defer cancel()
		defer c.running.remove(in)
		c.serve(ctx, in, handle)
	})
}

// serve keeps the caller waiting while it decodes, runs the handler and settles.
func (c *Client) serve(ctx context.Context, in *inbound, handle handler) {
	every, _, _ := PromiseInterval(&in.extra)
	stop := c.heartbeats(in, every)
	defer stop()
	weight := c.weight(in.extra.Len())
	if err := c.decoding.Acquire(ctx, weight); err != nil {
		in.release()
		return
	}
	defer c.decoding.Release(weight)
	a, err := c.decode(in)
	in.release()
	if err != nil {
		in.conn.answer(in.header, "reject", Errorf("TypeError", "%s", err))
		return
	}
	value, err := c.guard(ctx, in, a, handle)
	stop()
	c.settle(ctx, in, value, err)
}

// smallArguments are not worth an account.
const smallArguments = 64 << 10

// weight is what decoded arguments may take in memory: a one-byte element becomes sixteen. So large arguments are decoded
// a few at a time.
func (c *Client) weight(size int64) int64 {
	if size <= smallArguments {
		return 0
	}
	return min(16*size, c.limits.MaxMessageBytes)
}

// guard turns a panic into an error, so that a bad handler does not end the process.
func (c *Client) guard(ctx context.Context, in *inbound, a arguments, handle handler) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("handler panicked", zap.String("method", in.header.Method), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = Errorf("RuntimeError", "internal error in %s", in.header.Method)
		}
	}()
	return handle(ctx, a)
}

// settle sends the one answer. A caller or connection that is gone makes it a no-op: late answers help nobody.
func (c *Client) settle(ctx context.Context, in *inbound, value any, err error) {
	if in.header.Session == "" {
		return
	}
	name := "resolve"
	var packed []byte
	var held *session
	if err == nil {
		packed, held, err = c.packResult(in.header.From, value)
	}
	if err != nil {
		name = "reject"
		packed, _ = encodePlain(errorFields(err))
	}
	if err := c.sendAnswer(ctx, in.conn, in.header, name, packed); err != nil {
		c.log.Debug("answer not delivered", zap.String("to", in.header.From), zap.Error(err))
		if held != nil {
			c.sessions.close(held.id)
		}
	}
}

// packResult packs a value for a peer; functions in it live in a session that only the peer may use.
func (c *Client) packResult(peer string, value any) ([]byte, *session, error) {
	var held *session
	e := encoder{export: func(f Callback) (_ map[string]any, err error) {
		if held == nil {
			if held, err = c.sessions.hold(peer); err != nil {
				return nil, err
			}
		}
		return c.export(held, f), nil
	}}
	if err := e.value(value, 0); err != nil {
		if held != nil {
			c.sessions.close(held.id)
		}
		return nil, nil, unsendable(err)
	}
	return e.b, held, nil
}

// unsendable keeps the class of errors that have one.
func unsendable(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	return Errorf("TypeError", "the result cannot be sent: %s", err)
}

// export makes a callback reachable and returns its reference (hypha-protocol 3.1).
func (c *Client) export(held *session, f Callback) map[string]any {
	box := &mailbox{}
	box.run = func(in *inbound) { c.runCallback(in, f) }
	name := c.sessions.add(held, box)
	return map[string]any{
		"_rtype": "method", "_rtarget": c.Address(), "_rmethod": held.id + "." + name, "_rpromise": "*", "_rname": name,
	}
}

// runCallback runs one call of a callback on its mailbox's goroutine.
func (c *Client) runCallback(in *inbound, f Callback) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	if !c.running.add(in, cancel, c.limits.Handlers) {
		c.stats.refusedCalls.Add(1)
		c.refuse(in, Errorf("RuntimeError", "%d calls run already; try again later", c.limits.Handlers))
		return
	}
	defer c.running.remove(in)
	c.serve(ctx, in, func(ctx context.Context, a arguments) (any, error) { return f(ctx, a.args, a.kwargs) })
}

// callerOf reads who calls out of what the server vouches for.
func callerOf(h Header) (Caller, error) {
	raw := map[string]any{
		"type": h.Type, "from": h.From, "to": h.To, "method": h.Method, "ws": h.Workspace, "connection_type": "websocket",
	}
	for key, value := range map[string]string{"session": h.Session, "parent": h.Parent} {
		if value != "" {
			raw[key] = value
		}
	}
	caller := Caller{From: h.From, To: h.To, Workspace: h.Workspace, Method: h.Method, Session: h.Session, Raw: raw}
	if len(h.User) == 0 {
		return caller, nil
	}
	user, err := decodePlain(h.User)
	if err != nil {
		return caller, fmt.Errorf("read the caller's user: %w", err)
	}
	raw["user"] = user
	fields, _ := user.(map[string]any)
	caller.User = userOf(fields)
	return caller, nil
}
