// Package link is the connection between the controller and the agent of an allocation: its protocol and both ends.
//
// Its main type is Conn, which is the same at both ends: made by Dial in the agent and handed out by Server in the
// controller. Imported by jobs and worker/relay (controller) and jobs/agent. It knows no replica states, no Hypha and
// no Slurm; payloads pass through as bytes.
//
// # Protocol flow
//
//	agent                                               controller
//	  reads endpoint.json (addresses, fingerprint)
//	  TCP, TLS 1.3, the server's public key must have the fingerprint
//	  GET /link, Upgrade: websocket                 ->
//	  Bioengine-Allocation, -Token (until the first
//	  greeting succeeded), -Key (every time)            Gate.Admit
//	                                                <-  101, or 4xx/5xx with {"code","message"}
//	  from here on: yamux streams inside binary WebSocket messages; the agent is yamux's client
//
//	  first stream: header {"kind":"greeting"},
//	  Hello                                         ->
//	                                                <-  Welcome
//
//	  Every stream starts with one frame: the JSON of Header, at most MaxHeader bytes. Then, by kind:
//	  "control"   either way, one per direction: frames of Control, one after the other
//	  "messages"  either way, one per replica and direction: records (below) of at most SmallMessage bytes
//	  The streams of these two kinds are opened by the first message, closed by their sender when they are quiet for a
//	  while, and opened anew; the receiver reads the streams of a kind and replica one after the other, so the order holds.
//	  "message"   either way, one record, larger; the receiver closes when it has taken it, then the sender
//	  "log"       agent -> controller, one per replica: records of LogRecord
//	  "handle"    either way: request and answer of a call between deployments, see WriteHandleRequest
//	  any other   closed by the receiver, so that versions can differ
//
//	  Both ends send a WebSocket pong of their own accord every PingPeriod. An end that has read nothing for LostAfter
//	  takes the link for lost. Any failure closes the WebSocket: one way down. A WebSocket close frame carries the
//	  reason of a wanted end.
//
// frame  = u32 length | bytes (JSON)
// record = u8 flags (1 opens, 2 ends) | u16 length of call | u32 size | call | size bytes
//
// All integers are big-endian.
package link

import "time"

// Version is the protocol version of Hello. An end accepts any version: what it does not know it ignores.
const Version = 1

// Limits of the wire. Whoever exceeds one has broken the protocol, and the link is closed.
const (
	MaxHeader    = 64 << 10  // bytes of a stream's header
	MaxControl   = 16 << 20  // bytes of one control message, Hello or Welcome
	MaxMessage   = 256 << 20 // bytes of one Hypha message or handle payload (design 7)
	SmallMessage = 256 << 10 // bytes up to which Hypha messages keep their order (design 9)
	MaxLogLine   = 64 << 10  // bytes of one log record's text; WriteLog splits longer lines
)

// Times of the link (design 7).
const (
	PingPeriod = 5 * time.Second
	LostAfter  = 15 * time.Second
)

// Kinds of streams.
const (
	KindGreeting = "greeting"
	KindControl  = "control"
	KindMessages = "messages"
	KindMessage  = "message"
	KindLog      = "log"
	KindHandle   = "handle"
)
