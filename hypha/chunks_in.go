package hypha

import (
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"
)

// chunkArgs are the arguments of message_cache.*, by position or keyword.
type chunkArgs struct {
	key       string
	index     int64
	data      []byte // aliases the frame
	heartbeat bool
	overwrite bool
}

// chunkOrder are the parameters of each call in their order (hypha-protocol 2.6).
var chunkOrder = map[string][]string{
	"create":  {"key", "heartbeat", "overwrite"},
	"append":  {"key", "data", "heartbeat"},
	"set":     {"key", "index", "data", "heartbeat"},
	"process": {"key", "heartbeat"},
	"remove":  {"key"},
}

// chunkCall takes a call of message_cache. It works on the read loop, where the bytes still lie in the socket's buffer: a chunk is
// copied once, into its buffer or file. It does not wait for anybody.
func (c *Client) chunkCall(conn *connection, h Header, name string, extra []byte) {
	order := chunkOrder[name]
	if order == nil {
		conn.answer(h, "reject", expired(h))
		return
	}
	args, err := readChunkArgs(order, extra)
	if err == nil && args.heartbeat {
		err = c.keepSession(h.From, args.key)
	}
	var message *chunkMessage
	if err == nil {
		message, err = c.chunks.apply(name, h.From, args, time.Now())
	}
	if err != nil {
		conn.answer(h, "reject", err)
		return
	}
	conn.answer(h, "resolve", nil)
	if args.heartbeat && c.chunks.beatDue(h.From, args.key, time.Now()) {
		c.routeBeat(h, args.key)
	}
	if message != nil {
		c.reassembled(conn, h, message)
	}
}

// readChunkArgs reads arguments without copying data. Whatever else `extra` holds is stepped over.
func readChunkArgs(order []string, extra []byte) (chunkArgs, error) {
	var args chunkArgs
	r := unpacker{buf: extra}
	for left := r.mapLen(); left > 0 && r.err == nil; left-- {
		if string(r.bytesOfString()) != "args" {
			r.skip()
			continue
		}
		list := r.arrayLen()
		for i := 0; i < list && r.err == nil; i++ {
			head := r
			switch {
			case i == list-1 && head.next().kind == kindMap:
				for left := r.mapLen(); left > 0 && r.err == nil; left-- {
					args.read(string(r.bytesOfString()), &r)
				}
			case i < len(order):
				args.read(order[i], &r)
			default:
				r.skip()
			}
		}
	}
	switch {
	case r.err != nil:
		return args, Errorf("ValueError", "unreadable arguments: %s", r.err)
	case args.key == "":
		return args, Errorf("TypeError", "Missing required argument: 'key'")
	}
	return args, nil
}

func (a *chunkArgs) read(name string, r *unpacker) {
	t := r.next()
	switch {
	case name == "key" && t.kind == kindString:
		a.key = string(r.body(t))
	case name == "data" && t.kind == kindBin:
		a.data = r.body(t)
	case name == "index" && (t.kind == kindInt || t.kind == kindUint):
		a.index = int64(t.bits)
	case name == "heartbeat" && t.kind == kindBool:
		a.heartbeat = t.bits == 1
	case name == "overwrite" && t.kind == kindBool:
		a.overwrite = t.bits == 1
	case name == "heartbeat" || name == "overwrite":
		r.fail(errors.New(name + " is no bool"))
	default:
		r.fail(errors.New(name + " has a wrong type"))
	}
}

// keepSession keeps the call of ours alive whose session is the key of the buffer. Other keys may be sessions of the Router.
func (c *Client) keepSession(from, key string) error {
	ours := strings.HasPrefix(key, sessionPrefix)
	if ours && c.sessions.heartbeat(key, from) || !ours && c.config.Router != nil {
		return nil
	}
	return plainError("session does not exist anymore: " + key)
}

// routeBeat tells the Router that the message on its way for one of its sessions proceeds, or its call would time out during a
// long upload.
func (c *Client) routeBeat(h Header, key string) {
	if strings.HasPrefix(key, sessionPrefix) || c.config.Router == nil {
		return
	}
	h.detach()
	c.config.Router.Route(Frame{Release: nothing, Header: Header{
		Type: "method", From: h.From, To: h.To, Workspace: h.Workspace, User: h.User,
		Method: key + ".heartbeat", Parent: key,
	}})
}

// reassembled dispatches a message as if it had come whole, from the sender of the process call: what it says itself about
// its sender is not to be trusted.
func (c *Client) reassembled(conn *connection, process Header, m *chunkMessage) {
	h, n, err := ParseHeader(m.start())
	if err != nil || h.Type != "method" || strings.HasPrefix(h.Method, builtinPrefix+"message_cache.") {
		c.log.Debug("unusable chunked message", zap.String("from", process.From), zap.Error(err))
		m.release()
		return
	}
	process.detach()
	h.detach()
	h.From, h.To, h.Workspace, h.User = process.From, process.To, process.Workspace, process.User
	c.dispatch(&inbound{conn: conn, header: h, extra: m.after(int64(n)), release: m.release})
}
