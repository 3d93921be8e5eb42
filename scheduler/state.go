package scheduler

import "strings"

// State is where a job is in its life, in Slurm's words.
type State string

// The states. A job goes from Pending over Configuring to Running and ends in one
// of the Ended ones, mostly through Completing.
const (
	Pending     State = "PENDING"
	Configuring State = "CONFIGURING" // its nodes are being made ready
	Running     State = "RUNNING"
	Suspended   State = "SUSPENDED" // its processes are stopped, its CPUs given away
	Stopped     State = "STOPPED"   // its processes are stopped, it keeps its CPUs
	Signaling   State = "SIGNALING"
	Resizing    State = "RESIZING"
	StageOut    State = "STAGE_OUT"
	Completing  State = "COMPLETING" // its processes are being ended

	Completed   State = "COMPLETED"
	Failed      State = "FAILED"
	OutOfMemory State = "OUT_OF_MEMORY"
	Timeout     State = "TIMEOUT"
	NodeFail    State = "NODE_FAIL"
	Preempted   State = "PREEMPTED"
	BootFail    State = "BOOT_FAIL"
	Deadline    State = "DEADLINE"
	Cancelled   State = "CANCELLED"
	Revoked     State = "REVOKED" // a sister cluster runs it instead

	Requeued    State = "REQUEUED"
	RequeueHold State = "REQUEUE_HOLD"
	RequeueFed  State = "REQUEUE_FED"
	ResvDelHold State = "RESV_DEL_HOLD"
	SpecialExit State = "SPECIAL_EXIT" // requeued and held by an administrator's script

	// Unknown is every other word, and a job about which nothing could be learnt.
	Unknown State = "UNKNOWN"
)

// ParseState reads a state's name as Slurm prints it. Endings such as "+" (cut
// off) or " by 1000" (who cancelled) are ignored; any other word is Unknown, and
// the caller keeps the text.
func ParseState(text string) State {
	word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(text)), " ")
	word = strings.TrimRight(word, "+*")
	s := State(word)
	if s == Pending || s.Active() || s.Ended() || s.waitsAgain() {
		return s
	}
	return Unknown
}

// Ended says that the job is over and none of its processes is left.
func (s State) Ended() bool {
	switch s {
	case Completed, Failed, OutOfMemory, Timeout, NodeFail, Preempted, BootFail, Deadline, Cancelled, Revoked:
		return true
	}
	return false
}

// Active says that the job has nodes: its processes may be running.
func (s State) Active() bool {
	switch s {
	case Configuring, Running, Suspended, Stopped, Signaling, Resizing, StageOut, Completing:
		return true
	}
	return false
}

// waitsAgain says that the job ran and stands in the queue once more.
func (s State) waitsAgain() bool {
	switch s {
	case Requeued, RequeueHold, RequeueFed, ResvDelHold, SpecialExit:
		return true
	}
	return false
}
