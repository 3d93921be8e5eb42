package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// closeTime is how long an application that has gone may take to tell its
// last callers.
const closeTime = 5 * time.Second

// run keeps an application's connection and service until ctx ends or its
// last job has.
func (a *application) run(ctx context.Context) {
	defer a.stop()
	ctx, cancel := context.WithCancel(ctx)
	var own sync.WaitGroup
	defer own.Wait()
	defer cancel()
	own.Go(func() {
		if err := a.relay.Run(ctx, a.uplink); err != nil {
			a.log.Error("the application cannot take calls", zap.Error(err))
		}
	})
	own.Go(func() { a.watchHealth(ctx) })
	for !a.over(ctx) {
		a.hold(ctx)
	}
	if ctx.Err() == nil {
		closing, done := context.WithTimeout(ctx, closeTime)
		defer done()
		if err := a.relay.Close(closing); err != nil {
			a.log.Warn("not all callers of a stopped application were told", zap.Error(err))
		}
	}
	a.disconnect()
}

// over says whether there is nothing left to do.
func (a *application) over(ctx context.Context) bool {
	return ctx.Err() != nil || a.gone.Err() != nil
}

// hold connects and publishes until the connection ends for good or there is
// nothing left to do. The connection then stays open for last words.
func (a *application) hold(ctx context.Context) {
	a.disconnect()
	client, err := a.connect(ctx)
	if err != nil {
		return // ctx ended, or the application has gone
	}
	a.uplink.client.Store(client)
	a.publishing(ctx, client)
	if err := client.Err(); err != nil {
		a.setProblem(fmt.Errorf("the connection to Hypha ended: %w", err))
	}
}

// connect opens the application's connection, however long it takes. Each
// connect has a token of its own, bound to the application's client id.
func (a *application) connect(ctx context.Context) (*hypha.Client, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.gone, cancel)()
	own := a.worker.own.Load()
	config := a.worker.cfg.Hypha
	config.Workspace, config.ClientID = own.Info().Workspace, a.client
	config.Router, config.OnState = a.relay, a.onState
	config.Token = func(ctx context.Context) (string, error) { return generateToken(ctx, own, a.client, tokenLife) }
	for wait := retryFirst; ; wait = min(2*wait, retryLast) {
		client, err := hypha.Connect(ctx, config)
		if err == nil {
			return client, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a.setProblem(err)
		a.log.Warn("cannot connect an application to Hypha; trying again", zap.Duration("in", wait), zap.Error(err))
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// disconnect ends the connection, if there is one.
func (a *application) disconnect() {
	client := a.uplink.client.Swap(nil)
	if client == nil {
		return
	}
	client.Close()
	s := client.Stats()
	a.log.Info("connection to Hypha closed", zap.Int64("frames_in", s.FramesIn), zap.Int64("frames_out", s.FramesOut),
		zap.Int64("decoded_call_bytes", s.DecodedCallBytes)) // the last stays 0: arguments pass through (design 3)
}

// onState is told by the connection of its ups and downs. It must not block.
func (a *application) onState(connected bool, err error) {
	a.mu.Lock()
	a.connected = connected
	a.mu.Unlock()
	if !connected {
		a.setProblem(err)
	} else {
		a.setProblem(nil)
	}
	a.look()
}

func (a *application) setProblem(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problem = ""; err != nil {
		a.problem = err.Error()
	}
}
