package relay

import "time"

// Limits bound what callers and replicas can make the relay hold, and how long it waits. Zero fields take the default.
type Limits struct {
	// Waiting calls of the application (200) and of one caller (50). Beyond: the capacity text of contract 4.
	Waiting, WaitingPerCaller int
	// HeldBytes of payloads in memory, waiting or on their way to a replica (64 MiB). Beyond: the same text; frames
	// that carry no call are dropped.
	HeldBytes int64
	// SessionCalls are open calls of objects that live in a replica (returned functions, generators); they take no
	// slot: 4096, and of one caller 512. Beyond: RuntimeError.
	SessionCalls, SessionCallsPerCaller int
	// Frames without a call (results of callbacks, news of callers) that wait for one replica (1024). Beyond: dropped.
	Frames int
	// Answers of the relay's own that wait to be sent, open calls included (16384). Beyond: calls are dropped unanswered.
	Answers int
	// Contacts is how many (replica, caller) pairs are remembered for callbacks (4096, oldest forgotten first), for
	// ContactFor after the caller's last call (10 min, as long as hypha-rpc keeps idle objects).
	Contacts   int
	ContactFor time.Duration
	// Remembered is how many ended calls are known by key, so that a replica that still lists one is told (4096).
	Remembered int
	// NoReplica is how long calls wait while there is no usable replica (30 s). Then: RuntimeError.
	NoReplica time.Duration
	// Unreachable is how long calls wait for an answer of a replica whose link is down (10 min). Then: ReplicaLost.
	Unreachable time.Duration
	// Silent is how long a call whose heartbeat interval is unknown (encrypted, or begun before the controller started)
	// may go without a heartbeat from its replica (1 h). Then: ReplicaLost.
	Silent time.Duration
}

const (
	// bulkBytes is the size above which a message travels on a stream of its own, beside the ordered one (design 9).
	bulkBytes = 256 << 10
	// bulkWriters is how many large messages go to one replica at once; more wait.
	bulkWriters = 4
	// minBeat and maxBeat bound the heartbeat interval a caller can ask for: the messages come out of a budget that all
	// callers of the application share.
	minBeat, maxBeat = time.Second, time.Hour
	// unknownBeat keeps alive a call that says no interval while no replica does.
	unknownBeat = 5 * time.Second
	// beatsPerRound and roundPause hold heartbeats to half of the connection's 200 messages/s.
	beatsPerRound = 100
	roundPause    = time.Second
	// silentHold is how long a call without a session holds its slot: nobody will say when it ends.
	silentHold = time.Second
	// callbackWait and callbackRate (bytes/s) bound how long a replica's callback is being sent, Hypha's absence included.
	// The replica itself gives up after 30 s without a heartbeat.
	callbackWait = 30 * time.Second
	callbackRate = 1 << 20
	// headBytes is how much of a large message from a replica is read to find its header, which is below 1 KiB as a rule.
	headBytes = 64 << 10
)

func (l Limits) withDefaults() Limits {
	set(&l.Waiting, 200)
	set(&l.WaitingPerCaller, 50)
	set(&l.HeldBytes, 64<<20)
	set(&l.SessionCalls, 4096)
	set(&l.SessionCallsPerCaller, 512)
	set(&l.Frames, 1024)
	set(&l.Answers, 16384)
	set(&l.Contacts, 4096)
	set(&l.ContactFor, 10*time.Minute)
	set(&l.Remembered, 4096)
	set(&l.NoReplica, 30*time.Second)
	set(&l.Unreachable, 10*time.Minute)
	set(&l.Silent, time.Hour)
	return l
}

func set[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
