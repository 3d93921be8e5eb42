package scheduler

import "time"

// Job is what a back end says about one job at one moment.
type Job struct {
	ID, Name, Comment string

	State    State
	RawState string // the back end's own word
	Reason   string // why it waits or how it ended, in the back end's words; "" when it says None
	Node     string // "" while it has none

	// ExitCode and Signal tell how the batch process ended; both 0 while it runs.
	ExitCode, Signal int

	// Zero when unknown. Started may lie in the future: an estimate, while the job
	// is pending.
	Submitted, Started, Ended time.Time
}
