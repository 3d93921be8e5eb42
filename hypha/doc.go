// Package hypha is a client for the Hypha RPC server, of use without the rest of this module.
//
// Its main type is Client: one WebSocket connection that keeps itself alive, registers services again after
// each reconnect, answers calls made to them, and calls services of others. Values travel as msgpack maps of
// two segments, `main` (routing) and `extra` (arguments).
//
// A second way of serving leaves the arguments alone: services registered with RegisterOpaque have their frames
// handed to a Router as a parsed Header and untouched bytes, and Send puts such frames on the wire.
//
// Importers: worker (services), worker/relay (frames), cmd/bioengine-hpc (login, calls). Imports nothing of ours.
//
// What happens on a connection, file by file:
//
//	client.go        Config, Client, Connect, Close
//	handshake.go     URL, first message, connection_info, refused handshakes
//	reconnect.go     the loop that owns the connection; backoff.go says how long to wait
//	connection.go    one socket: reader and writer; keepalive.go its pings, budget.go its rate of messages
//	dispatch.go      what an incoming frame is: reply, callback, built-in, own service, routed, event
//	header.go        `main`; frame.go `extra`; pack.go and unpack.go msgpack itself
//	call.go          calls out; sessions.go their replies and callbacks; function.go functions of peers
//	provider.go      calls in; bind.go their arguments; promise.go their answers
//	registry.go      which services exist; register.go tells the server
//	builtin.go       the built-in service
//	chunks_in.go     its message_cache: messages in pieces, held by chunk_store.go; chunks_out.go the other direction
//	router.go        frames passed through undecoded
package hypha
