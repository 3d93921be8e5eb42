package jobs

import (
	"context"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// Listener is told of the replicas that can serve an application's callers.
// It must be set with Manager.Listen before Run.
type Listener interface {
	// Changed gives the whole set anew. It is called on the event loop, in
	// order, and must not block.
	Changed(Set)
	// Message gives one message of a replica, on that replica's link
	// goroutine; a slow listener slows that replica's link only. Changed has
	// returned for the attachment that the message came through.
	Message(application string, m *link.Message)
	// Removed says that every job of a removed application has ended.
	Removed(application string)
}

// Set is the entry replicas of one application that are ready, or were when
// their link was lost. A replica absent from it is gone for good.
type Set struct {
	Application string
	Revision    int64
	Entry       []EntryReplica
}

// EntryReplica is one member of a Set.
type EntryReplica struct {
	Tag        string
	MaxOngoing int
	Attach     int64    // changes each time the replica's agent dials in anew
	Live       []string // call keys that the agent listed when it attached
	Link       Sender   // nil while the link is down
	Draining   bool     // takes no new calls
	Ready      link.Ready
}

// Sender is the controller's end of a replica's link.
type Sender interface {
	Send(ctx context.Context, m *link.Message) error
	Control(ctx context.Context, c link.Control) error
}
