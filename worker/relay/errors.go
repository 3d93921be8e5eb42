package relay

import (
	"fmt"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// Python proxies repeat a call once when the error contains one of "Method expired or not found", "Session not found",
// "Method not found", "Peer", "Connection was closed" or "Connection is closed" (replica link 5). Texts about calls that
// may have run must contain none of them; texts about calls that certainly have not may.
var (
	errReplicaLost = hypha.Errorf("ReplicaLost",
		"the replica that ran this call has gone before it answered; the call may have run in part")
	errAnswerLost = hypha.Errorf("ReplicaLost",
		"the connection to the replica was interrupted and the answer to this call got lost on the way")
	errUndelivered = hypha.Errorf("ReplicaLost",
		"the call could not be delivered completely to its replica; it may have run in part")
	errUnreachable = hypha.Errorf("ReplicaLost",
		"the replica that ran this call could not be reached for too long; the call may have run in part")
	errSilent = hypha.Errorf("ReplicaLost",
		"the replica gave no sign of this call for too long; the call may have run in part")
	errStopped = hypha.Errorf("ReplicaLost",
		"the application was stopped while this call ran; the call may have run in part")
	errNoUser        = hypha.Errorf("PermissionError", "Invalid context without user information")
	errBadUser       = hypha.Errorf("PermissionError", "Invalid user information in context")
	errBusySessions  = hypha.Errorf("RuntimeError", "too many open calls of objects that live in the application")
	errBusyReplica   = hypha.Errorf("RuntimeError", "too much is waiting to be sent to this replica; try again in a moment")
	errCallbackLost  = hypha.Errorf("ConnectionError", "the callback could not be sent to the caller")
	errOutwardDenied = hypha.Errorf("PermissionError",
		"applications cannot call other services through their caller's connection; connect with HYPHA_TOKEN instead")
)

func (r *Relay) errFull() error {
	return hypha.Errorf("RuntimeError", "Application '%s' has reached its maximum of %d concurrent requests. "+
		"Please try again in a moment.", r.app, r.maximum)
}

func (r *Relay) errNoReplica(waited time.Duration) error {
	return hypha.Errorf("RuntimeError", "Application '%s' has no running replica; the call waited %s for one. "+
		"See get_application_status for the reason and try again.", r.app, waited.Round(time.Second))
}

// errNotBegun is for calls that no replica has seen; its end makes proxies fetch the service again and repeat the call.
func (r *Relay) errNotBegun(to hypha.Header) error {
	return hypha.Errorf("RuntimeError", "Application '%s' was stopped before this call began. %s", r.app, expired(to))
}

// The texts of these two are fixed (replica link 5): no class in front.

func errNoMember(to hypha.Header) error { return &hypha.RemoteError{Message: expired(to)} }

func errNoSession(to hypha.Header) error {
	return &hypha.RemoteError{Message: fmt.Sprintf("Session not found: %s:%s", to.From, to.Method)}
}

func expired(to hypha.Header) string {
	return fmt.Sprintf("Method expired or not found: %s:%s", to.From, to.Method)
}
