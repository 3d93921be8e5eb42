package hypha

import (
	"context"
	"maps"
	"strings"
)

// Function is a function of a peer, found in arguments or results. One that came as an argument can be called while the
// call it came with is open.
type Function struct {
	client *Client
	// ref is the reference as received, with _rtarget completed, to be sent on unchanged.
	ref            map[string]any
	target, method string
	parent         string
	promise        bool
}

// functionsOf makes references callable: a bare target belongs to the sender's workspace; parent is the session of the
// call they came with.
func (c *Client) functionsOf(from, parent string) func(map[string]any) *Function {
	return func(ref map[string]any) *Function {
		target, _ := ref["_rtarget"].(string)
		method, _ := ref["_rmethod"].(string)
		if target == "" || method == "" {
			return nil
		}
		if !strings.Contains(target, "/") {
			workspace, _, _ := strings.Cut(from, "/")
			target = workspace + "/" + target
			ref = maps.Clone(ref)
			ref["_rtarget"] = target
		}
		promise := ref["_rpromise"] == "*" || ref["_rpromise"] == true
		return &Function{client: c, ref: ref, target: target, method: method, parent: parent, promise: promise}
	}
}

// Name is what the peer calls the function; may be "".
func (f *Function) Name() string {
	name, _ := f.ref["_rname"].(string)
	return name
}

// Schema is {name, description, parameters} if the peer sent one, else nil.
func (f *Function) Schema() map[string]any {
	schema, _ := f.ref["_rschema"].(map[string]any)
	return schema
}

// Call calls the function and waits for its answer, as Client.Call does; of a function that gives none, it waits until
// the call is sent.
func (f *Function) Call(ctx context.Context, args ...any) (any, error) {
	conn, err := f.client.connection(ctx)
	if err != nil {
		return nil, err
	}
	to := Header{To: f.target, Method: f.method, Parent: f.parent}
	if f.promise {
		return f.client.callOn(ctx, conn, to, args)
	}
	return nil, f.client.notify(ctx, conn, to, args)
}

// notify sends a call that has no answer; callbacks cannot be passed, since nothing would tell when they end.
func (c *Client) notify(ctx context.Context, conn *connection, to Header, args []any) error {
	extra, err := c.packCall(nil, args)
	if err != nil {
		return err
	}
	to.Type, to.From = "method", conn.info.Address()
	return c.sendOn(ctx, conn, to, Payload{Data: extra})
}
