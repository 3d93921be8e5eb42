// Package relay takes the calls of one application from Hypha to its replicas and their answers back, without
// decoding arguments or results: it reads the small header of a frame and passes the rest on as bytes.
//
// Its main type is Relay. It is the hypha.Router of the application's own Hypha connection on one side and the
// receiver of the replicas' messages on the other. Package worker makes one Relay per application and gives it the
// replica sets that package jobs publishes; nobody else imports it.
//
// The way of a call, file by file:
//
//	route.go       what a frame from Hypha is: a call of the application, a frame for one replica, or nothing we know
//	admission.go   the application's slots, and the first-come first-served line of callers in front of them
//	choice.go      which replica takes it: the one with the fewest open calls, then the least served
//	call.go        an accepted call and its one end; table.go the calls that are open
//	outbox.go      what waits to be written to one replica; delivery.go the goroutines that write it
//	egress.go      what a replica may send: answers to open calls, callbacks of its callers, nothing else
//	answers.go     what the relay answers by itself; agenda.go its heartbeats and deadlines
//
// Around it: replicas.go takes in a new replica set, attach.go compares a replica's own list of open calls with ours,
// departure.go forgets a caller that left, contacts.go knows which callers a replica may call back, memory.go which
// calls ended lately, users.go who the callers are.
//
// # No call hangs
//
// An accepted call ends with its replica's answer, with an error of the relay, or with its caller. While it is open the
// relay keeps its caller waiting with heartbeats, so every wait has an end:
//
//	for a slot              when a running call ends; the line is bounded, not the time (contract 4)
//	for a replica, none     Limits.NoReplica (30 s), or at once while SetUnhealthy says why: RuntimeError
//	being written           with the link; then ReplicaLost, or another replica if the first has not seen it
//	running                 as long as the method: package jobs watches the health of replicas
//	replica unreachable     until it is back, lost, or for Limits.Unreachable (10 min): ReplicaLost
//	answer on its way       with the link or the Hypha connection: ReplicaLost
//
// One mutex guards all state and is held for table work only, never while sending. Three kinds of goroutines exist,
// all owned by Run: one sends the relay's own answers, one heartbeats and deadlines, and each replica has one writer
// plus at most four more while large messages are on their way.
package relay
