package jobs

import (
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// phase is where a replica is in its life. The batch system's state and the
// link refine it (design 6).
type phase string

// Stored phases are written to the store before the step that they announce.
const (
	submitting phase = "submitting" // a job may exist
	submitted  phase = "submitted"  // a job exists
	stopping   phase = "stopping"   // it must end; what it still says is ignored, except answers
	ended      phase = "ended"
)

// replica is one job of ours with what runs in it. Only the event loop
// touches it.
type replica struct {
	store.Allocation
	app   *application
	dep   *deployment
	phase phase

	job      scheduler.Job // as last seen; State Unknown when the batch system cannot be asked
	missed   int           // polls in a row that did not show the job
	running  time.Time     // since when the batch system says RUNNING
	sighted  bool          // seen in a poll since this controller started
	conn     *link.Conn
	attach   int64
	live     []string
	joined   bool      // an agent has dialled in at least once
	lostAt   time.Time // since when the link is down; zero while it is up
	ready    *link.Ready
	readyAt  time.Time
	step     string // what the agent is doing, for the status
	stepAt   time.Time
	steps    map[string]time.Duration
	unwell   string    // the last failed health check
	draining bool      // the agent itself announced its end
	failure  string    // why the replica had to be stopped, "" when it was asked to
	settled  bool      // failure has been counted
	refused  bool      // the batch system turned the job down: asking again soon is of no use
	cancelAt time.Time // when to order the cancellation (again)
	inFlight bool      // an order to the batch system is under way
}

// serving says that callers may be sent to the replica once its link is up.
func (r *replica) serving() bool { return r.ready != nil && r.phase == submitted }

// state is the word that clients see (contract 5.2, design 6).
func (r *replica) state() string {
	switch {
	case r.phase == stopping || r.job.State == scheduler.Completing:
		return "STOPPING"
	case r.ready != nil && r.conn == nil:
		return "RECOVERING"
	case r.ready != nil:
		return "RUNNING"
	case r.joined || r.job.State.Active():
		return "STARTING"
	}
	return "PENDING_ALLOCATION"
}

// message explains the state in one sentence, "" when there is nothing to say.
func (r *replica) message() string {
	switch {
	case r.failure != "":
		return r.failure
	case r.unwell != "":
		return r.unwell
	case r.state() == "PENDING_ALLOCATION" && r.Job == "":
		return "the job is being submitted"
	case r.state() == "PENDING_ALLOCATION":
		return joinNonEmpty(": ", "job "+r.Job+" waits in the queue", r.job.Reason)
	case r.state() == "STARTING" && !r.joined:
		return "job " + r.Job + " runs on " + r.job.Node + "; its agent has not joined yet"
	case r.state() == "STARTING":
		return "job " + r.Job + " is at the step " + r.step
	case r.state() == "RECOVERING":
		return "the link to job " + r.Job + " is down since " + r.lostAt.Format(time.TimeOnly)
	}
	return ""
}

func joinNonEmpty(sep, a, b string) string {
	if b == "" {
		return a
	}
	return a + sep + b
}

// enter closes the running step, if any, and opens the next.
func (r *replica) enter(step string, now time.Time) {
	if r.step != "" && !r.stepAt.IsZero() {
		r.steps[r.step] += now.Sub(r.stepAt)
	}
	r.step, r.stepAt = step, now
}
