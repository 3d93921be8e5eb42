package link

import (
	"encoding/json"
	"fmt"
)

// Hello is the first control message, from the agent: what it is and what still lives in it.
type Hello struct {
	Version    int    `json:"version"`
	Allocation string `json:"allocation"`
	Agent      string `json:"agent"` // version of the agent's program
	Replicas   []Live `json:"replicas,omitempty"`
}

// Live is a replica that the agent holds when it greets; after a reconnect it replaces every event that was lost.
type Live struct {
	Tag   string             `json:"tag"`
	State string             `json:"state"`
	Step  string             `json:"step,omitempty"`  // the step that runs, while State is StateStarting
	Steps map[string]float64 `json:"steps,omitempty"` // seconds of each finished step
	Ready *Ready             `json:"ready,omitempty"` // set once the replica has been ready
	Calls []string           `json:"calls,omitempty"` // keys of the open calls, see Message.Call
	End   *Control           `json:"end,omitempty"`   // the event EventFailed or EventExited of a replica that ended
}

// States of a Live replica.
const (
	StateStarting = "starting" // Python runs, not ready yet
	StateReady    = "ready"
	StateDraining = "draining"
	StateFailed   = "failed" // told why in End; Python ends or has ended
	StateExited   = "exited"
)

// Welcome answers Hello. Assign lists the replicas to start; tags that the agent already has are ignored.
type Welcome struct {
	Epoch  int64    `json:"epoch"`
	Assign []Assign `json:"assign,omitempty"`
}

// Assign is all that a replica needs to run. It carries secrets: it prints as its names alone.
type Assign struct {
	Replica     string            `json:"replica"` // UUID
	Tag         string            `json:"tag"`     // names the replica on the link, see replica link 2
	Application string            `json:"application"`
	Deployment  string            `json:"deployment"` // name of the deployment (its class)
	File        string            `json:"file"`       // the file of Files that holds Class
	Class       string            `json:"class"`
	Files       map[string][]byte `json:"files"`
	Kwargs      []byte            `json:"kwargs"` // msgpack map: arguments of the class
	Env         map[string]string `json:"env,omitempty"`
	Secrets     map[string]string `json:"secrets,omitempty"` // environment variables that are never in an exec environment
	WorkDir     string            `json:"work_dir"`          // HOME and working directory of Python; "": one is made
	Hypha       json.RawMessage   `json:"hypha,omitempty"`   // client_id, workspace, manager_id, public_base_url, service; entry deployment only
	Handles     []HandleRef       `json:"handles,omitempty"`
	Options     RuntimeOptions    `json:"options"`
	Entry       bool              `json:"entry"`
}

// HandleRef makes one parameter of the class a handle of another deployment.
type HandleRef struct {
	Parameter  string `json:"parameter"`
	Deployment string `json:"deployment"`
}

// RuntimeOptions steer a replica. Times are seconds.
type RuntimeOptions struct {
	HealthPeriod    float64         `json:"health_period"`
	HealthTimeout   float64         `json:"health_timeout"`
	GracefulTimeout float64         `json:"graceful_timeout"`
	MaxOngoing      int             `json:"max_ongoing"`
	LogLevel        string          `json:"log_level,omitempty"`
	UserConfig      json.RawMessage `json:"user_config,omitempty"`
}

// String names the replica without its secrets.
func (a Assign) String() string {
	return fmt.Sprintf("%s (%s of %s)", a.Tag, a.Deployment, a.Application)
}

// GoString keeps %#v from printing secrets.
func (a Assign) GoString() string { return a.String() }

// Ready is what a replica tells about itself once it can take calls.
type Ready struct {
	Description  []byte   `json:"description"`  // msgpack: the object that get_service answers
	Registration []byte   `json:"registration"` // msgpack: registration record, with service_schema
	Methods      []string `json:"methods"`
	Python       string   `json:"python"`
	HyphaRPC     string   `json:"hypha_rpc"`
}

// Control is every control message after the greeting; which fields count depends on Type (and Event). A receiver
// ignores types and events that it does not know.
type Control struct {
	Type    string  `json:"type"`
	Replica string  `json:"replica,omitempty"`   // tag
	Call    string  `json:"call,omitempty"`      // cancel
	Peer    string  `json:"peer,omitempty"`      // peer_gone: "ws/cid"
	Timeout float64 `json:"timeout_s,omitempty"` // drain: seconds

	Event     string             `json:"event,omitempty"`
	Step      string             `json:"step,omitempty"`      // step: the one that begins; failed: the one that failed
	Steps     map[string]float64 `json:"steps,omitempty"`     // step, ready, failed: seconds of each finished step
	Ready     *Ready             `json:"ready,omitempty"`     // ready
	Error     string             `json:"error,omitempty"`     // failed, health: "<Class>: <message>"
	Traceback string             `json:"traceback,omitempty"` // failed
	Hint      string             `json:"hint,omitempty"`      // failed: what to try
	Failures  int                `json:"failures,omitempty"`  // health: failures in a row; 0: healthy again
	Code      int                `json:"code,omitempty"`      // exited: exit code; -1 when ended by a signal
	Signal    string             `json:"signal,omitempty"`    // exited: "killed", "segmentation fault", …
	Lines     []string           `json:"lines,omitempty"`     // exited: the last lines of output
}

// Types of Control.
const (
	ControlCancel   = "cancel"    // to the agent: the caller gave up {Replica, Call}
	ControlPeerGone = "peer_gone" // to the agent: a Hypha client left {Peer}
	ControlDrain    = "drain"     // to the agent: finish open calls {Replica, Timeout}, then EventDrained
	ControlStop     = "stop"      // to the agent: stop all replicas and end the job
	ControlEvent    = "event"     // to the controller: {Replica, Event, …}
	ControlDraining = "draining"  // to the controller: the job is being ended, no new calls please
)

// Events of ControlEvent.
const (
	EventStep    = "step"    // {Step, Steps}
	EventReady   = "ready"   // {Ready, Steps}
	EventFailed  = "failed"  // {Step, Error, Traceback, Hint, Steps}; before ready only
	EventHealth  = "health"  // {Failures, Error}: after each failed check, and with 0 when healthy again
	EventDrained = "drained" // no call is open
	EventExited  = "exited"  // {Code, Signal, Lines}
)

// known says that this version understands the message.
func known(m Control) bool {
	switch m.Type {
	case ControlCancel, ControlPeerGone, ControlDrain, ControlStop, ControlDraining:
		return true
	case ControlEvent:
		switch m.Event {
		case EventStep, EventReady, EventFailed, EventHealth, EventDrained, EventExited:
			return true
		}
	}
	return false
}
