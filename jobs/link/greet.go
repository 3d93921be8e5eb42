package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/yamux"
)

// Greet is the agent's first step: it tells what lives in the agent and returns the controller's answer.
func (c *Conn) Greet(ctx context.Context, hello Hello) (Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	var welcome Welcome
	s, err := c.openStream(Header{Kind: KindGreeting})
	if err != nil {
		return welcome, fmt.Errorf("greet: %w", c.sendError(ctx, err))
	}
	defer s.Close()
	defer within(ctx, s)()
	if err := c.writeFrame(s, hello, MaxControl); err != nil {
		return welcome, fmt.Errorf("greet: %w", c.sendError(ctx, err))
	}
	if err := readFrame(s, MaxControl, &welcome); err != nil {
		return welcome, fmt.Errorf("greet: no welcome: %w", c.sendError(ctx, err))
	}
	return welcome, nil
}

// Hello is the controller's first step: it waits for the agent's greeting.
func (c *Conn) Hello(ctx context.Context) (Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	s, err := c.mux.AcceptStreamWithContext(ctx)
	if err != nil {
		return Hello{}, fmt.Errorf("wait for greeting: %w", c.sendError(ctx, err))
	}
	hello, err := readHello(ctx, s)
	if err != nil {
		s.Close()
		return Hello{}, fmt.Errorf("read greeting: %w", c.sendError(ctx, err))
	}
	c.greeting = s
	return hello, nil
}

func readHello(ctx context.Context, s *yamux.Stream) (Hello, error) {
	defer within(ctx, s)()
	var head Header
	var hello Hello
	if err := readFrame(s, MaxHeader, &head); err != nil {
		return hello, err
	}
	if head.Kind != KindGreeting {
		return hello, violation("the first stream is %q", head.Kind)
	}
	return hello, readFrame(s, MaxControl, &hello)
}

// Welcome answers Hello. The controller calls it once, before Run.
func (c *Conn) Welcome(ctx context.Context, w Welcome) error {
	if c.greeting == nil {
		return errors.New("welcome: there was no greeting")
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	defer c.greeting.Close()
	defer within(ctx, c.greeting)()
	if err := c.writeFrame(c.greeting, w, MaxControl); err != nil {
		return fmt.Errorf("welcome: %w", c.sendError(ctx, err))
	}
	return nil
}
