// Package scheduler owns the words in which the rest of the program speaks to a
// batch system: a Spec goes in, Jobs come out. Its main type is the interface
// Scheduler; the back ends scheduler/sbatch (Slurm's command line) and
// scheduler/local (processes on this machine) implement it, and the shared suite
// scheduler/schedtest holds them to the same promises. The package jobs imports
// it; no package knows a back end except the command that wires them.
package scheduler

import "context"

// Scheduler runs jobs somewhere and says how they are.
//
// All methods may be called from any goroutine at the same time. Each ends soon
// after its context does, and in bounded time of its own. Every error is an
// *Error; nothing is retried inside a back end, and how often Jobs is called is
// the caller's budget.
type Scheduler interface {
	// Submit hands over one job and returns the id the back end knows it by.
	//
	// A Refused error means that nothing runs or ever will, and that the same Spec
	// will be refused again until somebody changes something. (Slurm lists some
	// refused requests as jobs that failed at once, with the reason
	// BadConstraints.) Unreachable means that no job exists and a later try may
	// succeed. Unclear means that a job may or may
	// not exist: look for the Spec's Comment among Jobs before submitting again.
	// Cancelling ctx while a submission is under way gives Unclear.
	//
	// The job starts in Spec.WorkDir with none of this process's environment.
	Submit(ctx context.Context, spec Spec) (id string, err error)

	// Jobs returns all jobs of this user that the back end still remembers, in one
	// call: waiting, running, and those that ended not long ago (Slurm forgets
	// them after the site's MinJobAge). The order is unspecified. Ids can be used
	// again after a crash of the batch system, so a caller recognises its jobs by
	// Comment. On an error nothing has been learnt about any job.
	Jobs(ctx context.Context) ([]Job, error)

	// Terminate asks a job to end by itself: SIGTERM to its batch process and to
	// nothing else, so that the programs that serve the container's image stay
	// until the agent has shut down. A job that has not started is cancelled.
	// A job that has ended, or that nobody knows, is no error.
	Terminate(ctx context.Context, id string) error

	// Cancel ends a job: SIGTERM to all its processes, SIGKILL a few seconds
	// later. It returns once the back end has accepted the order, not when the
	// job is gone. A job that has ended, or that nobody knows, is no error.
	Cancel(ctx context.Context, id string) error
}

// Inspector is implemented by back ends that can say what the machines offer, so
// that an impossible request is refused before it is submitted (see Fits).
type Inspector interface {
	// Partitions returns what this user may see; its errors are those of Jobs.
	Partitions(ctx context.Context) ([]Partition, error)
}
