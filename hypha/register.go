package hypha

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Register offers a service and returns once the server lists it. It stays registered over reconnects. The same id again
// replaces the service; a refused replacement leaves the old one in place.
func (c *Client) Register(ctx context.Context, s Service) error {
	e, err := newEntry(s)
	if err != nil {
		return err
	}
	return c.register(ctx, e)
}

// RegisterOpaque offers a service whose frames go to Config.Router, otherwise as Register.
func (c *Client) RegisterOpaque(ctx context.Context, s OpaqueService) error {
	e, err := newOpaqueEntry(s)
	if err != nil {
		return err
	}
	return c.register(ctx, e)
}

// register repeats over lost connections until the server took the service or refused it.
func (c *Client) register(ctx context.Context, e *entry) error {
	old := c.registry.put(e)
	for {
		conn, err := c.connection(ctx)
		if err == nil {
			err = c.tellOne(ctx, conn, e)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrConnectionLost) && ctx.Err() == nil:
			continue
		}
		c.registry.remove(e, old)
		return fmt.Errorf("hypha: register %s: %w", e.id, err)
	}
}

// tellOne registers an entry on a connection unless that was done.
func (c *Client) tellOne(ctx context.Context, conn *connection, e *entry) error {
	if err := c.registry.lock(ctx); err != nil {
		return err
	}
	defer c.registry.unlock()
	if e.told == conn || c.registry.get(e.id) != e {
		return nil
	}
	record := maps.Clone(e.record)
	record["id"] = conn.info.Address() + ":" + e.id
	if err := c.tellRecord(ctx, conn, record); err != nil {
		return err
	}
	e.told = conn
	return nil
}

// tellRecord registers a record and looks whether it is there: the server answers null also when it has dropped it
// (hypha-protocol 10.5).
func (c *Client) tellRecord(ctx context.Context, conn *connection, record map[string]any) error {
	if _, err := c.managerCall(ctx, conn, "register_service", record); err != nil {
		return err
	}
	if _, err := c.managerCall(ctx, conn, "get_service_info", record["id"]); err != nil {
		return fmt.Errorf("the server does not list the service after taking it: %w", err)
	}
	return nil
}

// Unregister withdraws a service of either sort.
func (c *Client) Unregister(ctx context.Context, id string) error {
	e := c.registry.get(id)
	if e == nil || !c.registry.remove(e, nil) {
		return Errorf("KeyError", "Service not found: %s", id)
	}
	if err := c.registry.lock(ctx); err != nil {
		return err
	}
	defer c.registry.unlock()
	conn, _ := c.live()
	if conn == nil || e.told != conn {
		return nil // the server forgot it with the lost connection
	}
	_, err := c.managerCall(ctx, conn, "unregister_service", conn.info.Address()+":"+id)
	if errors.Is(err, ErrConnectionLost) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hypha: unregister %s: %w", id, err)
	}
	return nil
}

// restore makes a new connection equal to the old: built-in first, since the server silently drops services of clients
// without one, then all services, then the events we need (hypha-protocol 1.7).
func (c *Client) restore(ctx context.Context, conn *connection) error {
	err := c.tellRecord(ctx, conn, builtinRecord(conn.info))
	if conn.readOnly = isClass(err, "PermissionError"); conn.readOnly {
		c.log.Info("this client may only read: it can call services, not offer any", zap.Error(err))
	} else if err != nil {
		return fmt.Errorf("register built-in: %w", err)
	}
	for _, e := range c.registry.all() {
		if err := c.tellOne(ctx, conn, e); err != nil {
			return fmt.Errorf("register %s: %w", e.id, err)
		}
	}
	if _, err := c.managerCall(ctx, conn, "subscribe", []any{"client_disconnected"}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

var errForgotten = errors.New("the server does not know us rightly")

// watch looks now and then whether the server still lists our services: a refused newcomer with our client id removes them
// and leaves our socket open (hypha-protocol 1.3). It returns when the connection is down.
func (c *Client) watch(conn *connection) {
	wait := c.timing.firstCheck
	doubts := 0
	for checks := 0; ; checks++ {
		select {
		case <-conn.down:
			return
		case <-c.ctx.Done():
			return
		case <-time.After(wait):
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.config.MethodTimeout)
		err := c.verify(ctx, conn)
		cancel()
		switch {
		case err == nil:
			doubts = 0
		case conn.isDown() || c.ctx.Err() != nil:
			return
		default:
			doubts++
		}
		if doubts == 2 || errors.Is(err, errForgotten) {
			c.log.Warn("the server has lost this client", zap.Error(err))
			conn.fail(err)
			return
		}
		wait = c.timing.secondCheck
		if checks > 0 {
			wait = c.timing.check
		}
	}
}

// verify asks for the list of our services and compares.
func (c *Client) verify(ctx context.Context, conn *connection) error {
	if conn.readOnly {
		return nil
	}
	expected, err := c.told(ctx, conn) // before asking: what is added meanwhile need not be listed yet
	if err != nil {
		return err
	}
	query := map[string]any{"workspace": conn.info.Workspace, "client_id": conn.info.ClientID}
	value, err := c.managerCall(ctx, conn, "list_services", Kwargs{"query": query, "include_unlisted": true})
	if err != nil {
		return fmt.Errorf("list own services: %w", err)
	}
	listed := map[string]int{}
	records, _ := value.([]any)
	for _, record := range records {
		fields, _ := record.(map[string]any)
		id, _ := fields["id"].(string)
		listed[id]++
	}
	prefix := conn.info.Address() + ":"
	if n := listed[prefix+"built-in"]; n != 1 {
		return fmt.Errorf("%w: own built-in is listed %d times", errForgotten, n)
	}
	for _, e := range expected {
		if n := listed[prefix+e.id]; n != 1 && c.registry.get(e.id) == e {
			return fmt.Errorf("%w: service %s is listed %d times", errForgotten, e.id, n)
		}
	}
	return nil
}

// told are the entries that the server has taken on this connection.
func (c *Client) told(ctx context.Context, conn *connection) ([]*entry, error) {
	if err := c.registry.lock(ctx); err != nil {
		return nil, err
	}
	defer c.registry.unlock()
	return slices.DeleteFunc(c.registry.all(), func(e *entry) bool { return e.told != conn }), nil
}
