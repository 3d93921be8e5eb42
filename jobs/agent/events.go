package agent

import (
	"encoding/json"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// stepPython is the step from the start of the process to the runtime's first own one.
const stepPython = "python"

// report is a control message of the runtime; which fields count depends on Type.
type report struct {
	Type         string   `json:"type"`
	Step         string   `json:"step"`
	Error        string   `json:"error"`
	Traceback    string   `json:"traceback"`
	ID           uint64   `json:"id"`
	OK           bool     `json:"ok"`
	Description  []byte   `json:"description"`
	Registration []byte   `json:"registration"`
	Methods      []string `json:"methods"`
	Python       string   `json:"python"`
	HyphaRPC     string   `json:"hypha_rpc"`
}

// take acts on a control message of the runtime. Unknown types are ignored.
func (r *replica) take(data []byte) {
	var m report
	if err := json.Unmarshal(data, &m); err != nil {
		r.log.Warn("a control message of Python is not understood", zap.Error(err))
		return
	}
	switch m.Type {
	case "step":
		r.enter(m.Step)
	case "ready":
		r.ready(&link.Ready{
			Description: m.Description, Registration: m.Registration, Methods: m.Methods, Python: m.Python, HyphaRPC: m.HyphaRPC,
		})
	case "failed":
		r.failed(m.Step, m.Error, m.Traceback)
	case "health":
		r.health.answer(m)
	case "drained":
		r.drained.give()
		r.emit(link.Control{Event: link.EventDrained})
	}
}

// describe is the replica in a greeting; the caller holds the uplink's lock.
func (r *replica) describe() link.Live {
	l := r.live
	l.Steps = maps.Clone(l.Steps)
	if l.End == nil {
		l.Calls = r.calls.keys()
	}
	return l
}

// emit tells of something that changes no state.
func (r *replica) emit(c link.Control) {
	r.uplink.change(func() []link.Control { return []link.Control{r.event(c)} })
}

func (r *replica) event(c link.Control) link.Control {
	c.Type, c.Replica = link.ControlEvent, r.assign.Tag
	return c
}

// finishStep notes how long the present step took; the caller holds the uplink's lock.
func (r *replica) finishStep() map[string]float64 {
	if r.live.Step != "" {
		r.live.Steps[r.live.Step] = time.Since(r.since).Seconds()
	}
	r.live.Step, r.since = "", time.Now()
	return maps.Clone(r.live.Steps)
}

// enter begins a step.
func (r *replica) enter(step string) {
	r.uplink.change(func() []link.Control {
		steps := r.finishStep()
		r.live.Step = step
		return []link.Control{r.event(link.Control{Event: link.EventStep, Step: step, Steps: steps})}
	})
}

func (r *replica) ready(ready *link.Ready) {
	r.uplink.change(func() []link.Control {
		steps := r.finishStep()
		r.live.Ready = ready
		if r.live.State == link.StateStarting {
			r.live.State = link.StateReady
		}
		return []link.Control{r.event(link.Control{Event: link.EventReady, Ready: ready, Steps: steps})}
	})
	r.health.begin.give()
}

// failed tells why the replica will never be ready. Only the first reason counts.
func (r *replica) failed(step, text, traceback string) {
	r.uplink.change(func() []link.Control {
		if r.live.End != nil {
			return nil
		}
		event := r.event(link.Control{
			Event: link.EventFailed, Step: step, Error: text, Traceback: traceback, Hint: hint(text), Steps: r.finishStep(),
		})
		r.live.State, r.live.End = link.StateFailed, &event
		return []link.Control{event}
	})
}

// notStarted tells that there is no Python at all.
func (r *replica) notStarted(err error) {
	r.log.Error("Python does not start", zap.Error(err))
	r.failed(stepPython, "PythonNotStarted: "+err.Error(), "")
	r.emit(link.Control{Event: link.EventExited, Code: -1})
}

// exited tells how the child has ended; when nobody said why before, that too.
func (r *replica) exited(child *child) {
	code, signal := child.status()
	lines, lastErr := r.output.lastLines()
	r.log.Info("Python has ended", zap.Int("code", code), zap.String("signal", signal))
	if r.starting() && !r.left.given() {
		r.failed(r.step(), endedEarly(code, signal, lastErr), "")
	}
	r.uplink.change(func() []link.Control {
		event := r.event(link.Control{Event: link.EventExited, Code: code, Signal: signal, Lines: lines, Hint: hint(signal)})
		if r.live.End == nil {
			r.live.State, r.live.End = link.StateExited, &event
		}
		return []link.Control{event}
	})
}

func (r *replica) starting() bool {
	r.uplink.mu.Lock()
	defer r.uplink.mu.Unlock()
	return r.live.Ready == nil
}

func (r *replica) step() string {
	r.uplink.mu.Lock()
	defer r.uplink.mu.Unlock()
	return r.live.Step
}
