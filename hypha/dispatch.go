package hypha

import (
	"slices"
	"strings"

	"go.uber.org/zap"
)

// receive takes a binary frame on the read loop. data is valid only until it returns; what is kept is copied.
func (c *Client) receive(conn *connection, data []byte) {
	h, n, err := ParseHeader(data)
	if err != nil {
		c.log.Debug("unreadable frame", zap.Error(err))
		return
	}
	if h.Type != "method" {
		c.event(conn, h)
		return
	}
	if h.To != "" && h.To != conn.info.Address() {
		c.log.Debug("frame for somebody else", zap.String("to", h.To), zap.String("from", h.From))
		return
	}
	if call, ok := strings.CutPrefix(h.Method, builtinPrefix+"message_cache."); ok {
		c.chunkCall(conn, h, call, data[n:])
		return
	}
	h.detach()
	c.dispatch(&inbound{conn: conn, header: h, extra: Payload{Data: slices.Clone(data[n:])}, release: nothing})
}

// detach makes h independent of the buffer it was read from.
func (h *Header) detach() {
	h.User = slices.Clone(h.User)
	for i := range h.Other {
		h.Other[i].Value = slices.Clone(h.Other[i].Value)
	}
}

// dispatch says who takes a method frame. It runs on the read loop and does not wait.
func (c *Client) dispatch(in *inbound) {
	first, rest, _ := strings.Cut(in.header.Method, ".")
	switch {
	case first == "services":
		c.dispatchService(in, rest)
	case strings.HasPrefix(first, sessionPrefix):
		c.dispatchSession(in, first, rest)
	default:
		c.route(in)
	}
}

func (c *Client) dispatchService(in *inbound, rest string) {
	id, path, _ := strings.Cut(rest, ".")
	if id == "built-in" {
		c.builtin(in, path)
		return
	}
	entry := c.registry.get(id)
	switch {
	case entry == nil && strings.HasPrefix(id, "_rintf_"):
		c.route(in)
	case entry == nil:
		c.refuse(in, expired(in.header))
	case !entry.mayCall(in.header, in.conn.info):
		c.refuse(in, Errorf("PermissionError", "Permission denied for invoking protected method %s:%s, workspace mismatch",
			in.header.From, in.header.Method))
	case entry.opaque != nil:
		c.route(in)
	default:
		c.callMethod(in, entry, path)
	}
}

// dispatchSession takes answers to our calls, and calls of callbacks. Late answers are normal and ignored.
func (c *Client) dispatchSession(in *inbound, id, name string) {
	switch name {
	case "resolve", "reject":
		if !c.sessions.settle(id, in, name == "resolve") {
			in.release()
		}
	case "heartbeat":
		c.sessions.heartbeat(id, in.header.From)
		in.release()
	default:
		c.dispatchCallback(in, id, name)
	}
}

func (c *Client) dispatchCallback(in *inbound, id, name string) {
	box, result := c.sessions.callback(id, name, in.header.From)
	switch result {
	case noSession:
		c.refuse(in, sessionGone(in.header))
	case noMethod:
		c.refuse(in, expired(in.header))
	case notTheirs:
		c.refuse(in, Errorf("PermissionError", "Access denied for method call (%s:%s)", in.header.From, in.header.Method))
	default:
		if !box.put(in, c.wait.Go) {
			c.stats.refusedCalls.Add(1)
			c.refuse(in, Errorf("RuntimeError", "too many calls of one callback are waiting"))
		}
	}
}

// route hands a frame to the Router; without one its method does not exist.
func (c *Client) route(in *inbound) {
	if c.config.Router == nil {
		c.refuse(in, sessionGone(in.header))
		return
	}
	c.config.Router.Route(Frame{Header: in.header, Extra: in.extra, Release: in.release})
}

// refuse answers a call that is not made, without waiting, and lets it go.
func (c *Client) refuse(in *inbound, err error) {
	in.conn.answer(in.header, "reject", err)
	in.release()
}

// The texts of these two are matched by other clients, which then fetch the service again (hypha-protocol 2.4).

func expired(h Header) error {
	return plainError("Method expired or not found: " + h.From + ":" + h.Method)
}

func sessionGone(h Header) error {
	return plainError("Session not found: " + h.From + ":" + h.Method)
}

// plainError is sent without a class in front.
func plainError(text string) error { return &RemoteError{Message: text} }

// event takes a message that is no method call. The server's own have no sender; any client could send the others.
func (c *Client) event(conn *connection, h Header) {
	manager := "*/" + conn.info.ManagerID
	if h.From != "" && h.From != manager {
		return
	}
	switch h.Type {
	case "client_disconnected":
		if peer := departed(h, conn.info.Workspace); peer != "" {
			c.peerGone(conn, peer)
		}
	case "peer_not_found":
		c.peerNotFound(h)
	case "force-exit":
		if h.From == manager {
			c.cancel(&ConnectError{Kind: KindBlocked, Message: "the server told this client to leave"})
		}
	}
}

// departed reads {id, workspace}; id may be bare or "ws/id".
func departed(h Header, workspace string) string {
	for _, f := range h.Other {
		if f.Key != "data" {
			continue
		}
		value, _ := decodePlain(f.Value)
		data, _ := value.(map[string]any)
		id, _ := data["id"].(string)
		if id == "" || strings.Contains(id, "/") {
			return id
		}
		if ws, _ := data["workspace"].(string); ws != "" {
			workspace = ws
		}
		return workspace + "/" + id
	}
	return ""
}

// peerGone ends what the peer has with us. Our own departure, announced after a reconnect, is none.
func (c *Client) peerGone(conn *connection, peer string) {
	if peer == conn.info.Address() {
		return
	}
	c.sessions.peerGone(peer)
	c.chunks.dropSender(peer)
	c.running.cancelCaller(peer)
	if c.config.Router != nil {
		c.config.Router.PeerGone(peer)
	}
}

// peerNotFound fails the call whose target the server does not know, and all others to it.
func (c *Client) peerNotFound(h Header) {
	for _, f := range h.Other {
		if f.Key == "peer_id" {
			value, _ := decodePlain(f.Value)
			if peer, _ := value.(string); peer != "" {
				c.sessions.peerGone(peer)
			}
		}
	}
}
