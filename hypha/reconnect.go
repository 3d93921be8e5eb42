package hypha

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// run owns the connection until the client ends: it waits for the loss of one and opens the next. It never opens two
// at once.
func (c *Client) run(conn *connection) {
	defer close(c.done)
	wait := newBackoff(c.timing.backoff)
	for conn != nil {
		c.tell(true, nil)
		c.hold(conn)
		if c.ctx.Err() == nil {
			conn = c.reopen(wait, wait.lost(time.Since(conn.opened)))
		} else {
			conn = nil
		}
	}
	c.sessions.failAll(context.Cause(c.ctx))
	c.wait.Wait()
	c.chunks.close()
}

// hold returns when the connection is down and cleaned up after, and takes it down when the client ends.
func (c *Client) hold(conn *connection) {
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(conn) })
	select {
	case <-conn.down:
	case <-c.ctx.Done():
		conn.fail(context.Cause(c.ctx))
	}
	c.release(conn)
	watch.Wait()
}

// release cleans up after a lost connection. The server has told our callers and callees that we are gone, so calls
// in both directions are over.
func (c *Client) release(conn *connection) {
	c.setReady(nil)
	c.sessions.failAll(conn.lost())
	conn.finish()
	c.chunks.dropAll()
	if !errors.Is(conn.cause, ErrClosed) {
		c.log.Info("hypha connection lost", zap.Error(conn.cause))
	}
	c.tell(false, conn.cause)
}

func (c *Client) tell(connected bool, err error) {
	if c.config.OnState != nil {
		c.config.OnState(connected, err)
	}
}

// reopen tries until there is a connection with all services registered. It returns nil when the client has ended.
func (c *Client) reopen(back *backoff, wait time.Duration) *connection {
	for {
		select {
		case <-time.After(wait):
		case <-c.ctx.Done():
			return nil
		}
		conn, err := c.open(c.ctx)
		if err == nil {
			err = c.adopt(c.ctx, conn)
		}
		if err == nil {
			c.stats.reconnects.Add(1)
			c.log.Info("hypha connection restored", zap.String("manager", conn.info.ManagerID))
			return conn
		}
		var refusal *ConnectError
		kind := KindNetwork
		if errors.As(err, &refusal) {
			kind = refusal.Kind
		}
		if kind == KindBlocked {
			c.cancel(err)
			return nil
		}
		wait = back.failed(kind)
		c.log.Warn("hypha connect failed", zap.Error(err), zap.Stringer("kind", kind), zap.Duration("retry_in", wait))
	}
}

// open dials and shakes hands. A reconnection token that is refused is dropped, and the ordinary token tried at once:
// the server looks at one of them only (hypha-protocol 1.2).
func (c *Client) open(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	if token != "" {
		conn, err := c.openWith(ctx, credentials{ReconnectionToken: &token})
		var refusal *ConnectError
		if err == nil || !errors.As(err, &refusal) || refusal.Kind != KindCredentials && refusal.Kind != KindDenied {
			return conn, err
		}
		c.log.Info("reconnection token refused", zap.Error(err))
		c.mu.Lock()
		c.token = ""
		c.mu.Unlock()
	}
	var first credentials
	if c.config.Token != nil {
		text, err := c.config.Token(ctx)
		if err != nil {
			return nil, &ConnectError{Kind: KindCredentials, Err: fmt.Errorf("get the token: %w", err)}
		}
		first.Token = &text
	}
	return c.openWith(ctx, first)
}

func (c *Client) openWith(ctx context.Context, first credentials) (*connection, error) {
	first.ClientID = c.config.ClientID
	workspace := c.Info().Workspace
	if workspace == "" {
		workspace = c.config.Workspace
	}
	if workspace != "" {
		first.Workspace = &workspace
	}
	s, err := dialSocket(ctx, c.url)
	if err != nil {
		return nil, &ConnectError{Kind: KindNetwork, Err: err}
	}
	frame, err := handshake(ctx, s, first)
	if err != nil {
		s.close(false)
		return nil, err
	}
	if frame.Announcement != "" {
		c.log.Info("hypha server announces", zap.String("text", frame.Announcement))
	}
	c.keepToken(frame.ReconnectionToken)
	return newConnection(c, s, frame), nil
}

// adopt starts a connection and registers everything on it; only then calls may use it (hypha-protocol 1.7).
func (c *Client) adopt(ctx context.Context, conn *connection) error {
	c.mu.Lock()
	c.info = conn.info
	c.mu.Unlock()
	conn.start()
	if err := c.restore(ctx, conn); err != nil {
		conn.fail(err)
		conn.finish()
		c.sessions.failAll(conn.lost())
		return &ConnectError{Kind: KindServer, Err: fmt.Errorf("register after connecting: %w", err)}
	}
	c.setReady(conn)
	return nil
}
