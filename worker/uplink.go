package worker

import (
	"context"
	"sync/atomic"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/worker/relay"
)

// uplink is an application's way to Hypha, whichever connection it has at the
// moment. Without one, answers are lost: the server has told the callers.
type uplink struct{ client atomic.Pointer[hypha.Client] }

var _ relay.Upstream = (*uplink)(nil)

// Send puts a frame of a replica on the wire.
func (u *uplink) Send(ctx context.Context, h hypha.Header, p hypha.Payload) error {
	if c := u.client.Load(); c != nil {
		return c.Send(ctx, h, p)
	}
	return hypha.ErrNotConnected
}

// Resolve settles a call with a value.
func (u *uplink) Resolve(ctx context.Context, to hypha.Header, value any) error {
	if c := u.client.Load(); c != nil {
		return c.Resolve(ctx, to, value)
	}
	return hypha.ErrNotConnected
}

// Reject settles a call with an error.
func (u *uplink) Reject(ctx context.Context, to hypha.Header, err error) error {
	if c := u.client.Load(); c != nil {
		return c.Reject(ctx, to, err)
	}
	return hypha.ErrNotConnected
}

// Heartbeat keeps a caller waiting.
func (u *uplink) Heartbeat(ctx context.Context, to hypha.Header) error {
	if c := u.client.Load(); c != nil {
		return c.Heartbeat(ctx, to)
	}
	return hypha.ErrNotConnected
}
