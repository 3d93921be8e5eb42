package hypha

import (
	"context"

	"go.uber.org/zap"
)

// builtinRecord is what the server is told of the service that every client has (hypha-protocol 4.2).
func builtinRecord(us Info) map[string]any {
	return map[string]any{
		"id": us.Address() + ":built-in", "name": "built-in", "type": "built-in", "app_id": "*",
		"description": "Built-in services of " + us.Address(), "config": builtinConfig(), "service_schema": map[string]any{},
	}
}

func builtinConfig() map[string]any {
	return map[string]any{"require_context": true, "visibility": "public", "api_version": int64(3)}
}

// builtin takes calls of the built-in service; those of message_cache come by another way, or from inside a chunked
// message, where they are refused.
func (c *Client) builtin(in *inbound, path string) {
	switch path {
	case "ping":
		in.conn.answer(in.header, "resolve", "pong")
		in.release()
	case "get_service":
		c.spawn(in, func(_ context.Context, a arguments) (any, error) { return c.describe(in, a) })
	default:
		c.refuse(in, expired(in.header))
	}
}

// describe answers get_service. The caller is often the manager asking for somebody else, whom it has checked itself.
func (c *Client) describe(in *inbound, a arguments) (any, error) {
	id, _ := a.kwargs["service_id"].(string)
	if len(a.args) > 0 {
		id, _ = a.args[0].(string)
	}
	us := in.conn.info
	if id == "built-in" {
		return builtinDescription(us), nil
	}
	e := c.registry.get(id)
	if e == nil {
		return nil, Errorf("KeyError", "Service not found: %s", id)
	}
	if !e.mayCall(in.header, us) {
		return nil, Errorf("PermissionError", "Permission denied for getting protected service: %s", id)
	}
	if e.opaque != nil {
		packed, err := e.opaque.Describe(in.header)
		if err != nil {
			c.log.Debug("service not described", zap.String("service", id), zap.Error(err))
			return nil, err
		}
		return Raw(packed), nil
	}
	return e.description(us), nil
}

// description is what callers get: the record without the server's part, and the members.
func (e *entry) description(us Info) map[string]any {
	d := e.service.members(us.Address(), us.PublicBaseURL)
	for _, key := range []string{"id", "name", "type", "description", "docs", "config"} {
		if value, ok := e.record[key]; ok {
			d[key] = value
		}
	}
	return d
}

func builtinDescription(us Info) map[string]any {
	method := func(path, doc string) map[string]any {
		return map[string]any{
			"_rtype": "method", "_rserver": us.PublicBaseURL, "_rtarget": us.Address(), "_rmethod": builtinPrefix + path,
			"_rpromise": "*", "_rname": path, "_rdoc": doc,
		}
	}
	cache := map[string]any{}
	for name, doc := range map[string]string{
		"create": "Open a buffer for a message that comes in chunks", "append": "Add the next chunk", "set": "Set one chunk",
		"process": "Treat the chunks as one message", "remove": "Free the buffer",
	} {
		cache[name] = method("message_cache."+name, doc)
	}
	return map[string]any{
		"id": "built-in", "name": "built-in", "type": "built-in", "config": builtinConfig(),
		"description":   "Built-in services of " + us.Address(),
		"ping":          method("ping", "Answer pong"),
		"get_service":   method("get_service", "Describe a service of this client"),
		"message_cache": cache,
	}
}
