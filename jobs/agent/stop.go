package agent

import (
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	drainSlack  = time.Second      // for Python's word, beyond the time it was given
	stopReady   = 10 * time.Second // for the end of a replica that was ready: its class may have things to close
	stopUnready = time.Second      // for the end of one that was not
	stopTerm    = 2 * time.Second  // after SIGTERM, before SIGKILL
)

// drain lets open calls end, each replica's for its own grace; the controller sends no new ones. The controller's
// stop ends it early.
func (a *Agent) drain() {
	a.uplink.change(func() []link.Control { return []link.Control{{Type: link.ControlDraining}} })
	replicas := slices.DeleteFunc(a.all(true), (*replica).starting) // those have no calls
	for _, r := range replicas {
		r.drain(r.assign.Options.GracefulTimeout)
	}
	for _, r := range replicas {
		limit := time.NewTimer(seconds(r.assign.Options.GracefulTimeout) + drainSlack)
		select {
		case <-r.drained.c:
		case <-r.gone.c:
		case <-limit.C:
		case <-a.stop.c:
		}
		limit.Stop()
	}
}

// stopReplicas asks all replicas to end; their run functions return soon.
func (a *Agent) stopReplicas() {
	for _, r := range a.all(true) {
		r.left.give()
	}
}

// drain asks Python to tell when no call is open, or when timeout seconds are over.
func (r *replica) drain(timeout float64) {
	r.uplink.change(func() []link.Control {
		if r.live.State == link.StateReady {
			r.live.State = link.StateDraining
		}
		return nil
	})
	r.tell(map[string]any{"type": "drain", "timeout_s": timeout})
}

// obeyStop ends the child when the replica is to stop: by word, by SIGTERM, by SIGKILL.
func (r *replica) obeyStop(child *child) {
	select {
	case <-child.done:
		return
	case <-r.left.c:
	}
	r.tell(map[string]any{"type": "stop"})
	grace := stopReady
	if r.starting() {
		grace = stopUnready
	}
	if child.endsWithin(grace) {
		return
	}
	r.log.Warn("Python does not stop, sending SIGTERM", zap.Duration("after", grace))
	child.signal(unix.SIGTERM)
	if !child.endsWithin(stopTerm) {
		child.kill()
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
