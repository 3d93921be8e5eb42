package hypha

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// rintfTimeout is what the other clients use for objects that live as long as their peer (hypha-protocol 3.3).
const rintfTimeout = 10 * time.Second

// Call calls a method of a peer and waits for its answer. target is "ws/client" and method "services.<id>.<path>"; with
// target Manager a bare name such as "list_services". A Kwargs as last argument holds keyword arguments. ctx ends the
// waiting (the protocol cannot tell the peer); without heartbeats the call ends with ErrTimeout after Config.MethodTimeout.
// An error of the peer is a *RemoteError. While disconnected the call waits for the connection.
func (c *Client) Call(ctx context.Context, target, method string, args ...any) (any, error) {
	conn, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	if target == Manager {
		return c.managerCall(ctx, conn, method, args...)
	}
	return c.callOn(ctx, conn, Header{To: target, Method: method}, args)
}

// managerCall calls the workspace manager of a connection.
func (c *Client) managerCall(ctx context.Context, conn *connection, method string, args ...any) (any, error) {
	if !strings.HasPrefix(method, "services.") {
		method = "services.default." + method
	}
	return c.callOn(ctx, conn, Header{To: "*/" + conn.info.ManagerID, Method: method}, args)
}

// callOn makes one call over a connection; to says where and with which parent session.
func (c *Client) callOn(ctx context.Context, conn *connection, to Header, args []any) (any, error) {
	s := c.sessions.open(to.To)
	defer c.sessions.close(s.id)
	extra, err := c.packCall(s, args)
	if err != nil {
		return nil, fmt.Errorf("hypha: call %s: %w", to.Method, err)
	}
	to.Type, to.From, to.Session = "method", conn.info.Address(), s.id
	if err := c.sendOn(ctx, conn, to, Payload{Data: extra}); err != nil {
		return nil, fmt.Errorf("hypha: call %s: %w", to.Method, err)
	}
	timeout := c.config.MethodTimeout
	if strings.Contains(to.Method, "_rintf_") {
		timeout = min(timeout, rintfTimeout)
	}
	value, err := c.awaitAnswer(ctx, s, timeout)
	if errors.Is(err, ErrTimeout) {
		err = fmt.Errorf("call %s at %s: %w", to.Method, to.To, err)
	}
	if wrecked(err) {
		conn.fail(err)
	}
	return value, err
}

// packCall packs arguments; with a session also the short promise, and callbacks become part of the session.
func (c *Client) packCall(s *session, args []any) ([]byte, error) {
	list, with := positional(args)
	var e encoder
	count := 0
	for _, present := range []bool{s != nil, s != nil, with, len(list) > 0} {
		if present {
			count++
		}
	}
	e.b = appendMapLen(e.b, count)
	if s != nil {
		e.export = func(f Callback) (map[string]any, error) { return c.export(s, f), nil }
		e.b = appendString(appendString(e.b, "promise"), "*")
		e.b = appendFloat(appendString(e.b, "t"), c.config.MethodTimeout.Seconds()/2)
	}
	if with {
		e.b = appendBool(appendString(e.b, "with_kwargs"), true)
	}
	if len(list) == 0 {
		return e.b, nil // the reference leaves empty arguments out
	}
	e.b = appendString(e.b, "args")
	return e.b, e.list(list, 0)
}

// positional makes the keyword arguments, if there are any, the last element that the wire wants.
func positional(args []any) (list []any, with bool) {
	if len(args) == 0 {
		return nil, false
	}
	last := len(args) - 1
	kwargs, with := args[last].(Kwargs)
	if !with {
		return args, false
	}
	return append(args[:last:last], map[string]any(kwargs)), true
}

// awaitAnswer waits from the moment the call was sent; each heartbeat starts the time anew.
func (c *Client) awaitAnswer(ctx context.Context, s *session, timeout time.Duration) (any, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case a := <-s.answer:
			return c.readAnswer(a)
		case <-s.beat:
			timer.Reset(timeout)
		case <-timer.C:
			return nil, ErrTimeout
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readAnswer decodes on the caller's goroutine, so that large results do not hold up the read loop.
func (c *Client) readAnswer(a answer) (any, error) {
	if a.err != nil {
		return nil, a.err
	}
	defer a.in.release()
	decoded, err := c.decode(a.in)
	if err != nil {
		return nil, fmt.Errorf("hypha: answer of %s: %w", a.in.header.From, err)
	}
	var value any
	if len(decoded.args) > 0 {
		value = decoded.args[0]
	}
	if a.ok {
		return value, nil
	}
	if remote, ok := value.(*RemoteError); ok {
		return nil, remote
	}
	return nil, &RemoteError{Message: fmt.Sprint(value)}
}

// wrecked recognises what the server says when it has given our connection up but left the socket open
// (hypha-protocol 1.3).
func wrecked(err error) bool {
	var remote *RemoteError
	return errors.As(err, &remote) && strings.Contains(remote.Message, "Connection has already been closed")
}
