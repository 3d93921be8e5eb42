package link

import (
	"context"
	"fmt"
)

// Greet is the agent's first step: it tells what lives in the agent and returns the controller's answer.
func (c *Conn) Greet(ctx context.Context, hello Hello) (Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	var welcome Welcome
	s, err := c.mux.OpenStream()
	if err != nil {
		return welcome, fmt.Errorf("greet: %w", c.sendError(ctx, err))
	}
	defer within(ctx, s)()
	l := &lane{stream: s}
	for _, v := range []any{Header{Kind: KindControl}, hello} {
		if err := c.writeFrame(l, v); err != nil {
			return welcome, fmt.Errorf("greet: %w", c.sendError(ctx, err))
		}
	}
	if err := readFrame(s, MaxControl, &welcome); err != nil {
		return welcome, fmt.Errorf("greet: no welcome: %w", c.sendError(ctx, err))
	}
	c.control = newLane(s)
	return welcome, nil
}

// Hello is the controller's first step: it waits for the agent's greeting.
func (c *Conn) Hello(ctx context.Context) (Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	var hello Hello
	s, err := c.mux.AcceptStreamWithContext(ctx)
	if err != nil {
		return hello, fmt.Errorf("wait for greeting: %w", c.sendError(ctx, err))
	}
	defer within(ctx, s)()
	var head Header
	if err := readFrame(s, MaxHeader, &head); err != nil {
		return hello, fmt.Errorf("read greeting: %w", c.sendError(ctx, err))
	}
	if head.Kind != KindControl {
		return hello, fmt.Errorf("read greeting: %w", violation("the first stream is %q", head.Kind))
	}
	if err := readFrame(s, MaxControl, &hello); err != nil {
		return hello, fmt.Errorf("read greeting: %w", c.sendError(ctx, err))
	}
	c.control = newLane(s)
	return hello, nil
}

// Welcome answers Hello. The controller calls it once, before Run and before it sends anything else.
func (c *Conn) Welcome(ctx context.Context, w Welcome) error {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	if err := c.sendFrame(ctx, w); err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	return nil
}
