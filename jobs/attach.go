package jobs

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// helloLimit bounds the time from an accepted upgrade to the greeting.
const helloLimit = 20 * time.Second

// Admit is the link's gate: a first dial shows the join token, every dial the
// agent's key (design 9, "Join").
func (m *Manager) Admit(ctx context.Context, id link.Identity, remote string) error {
	var known, fenced bool
	var keyHash []byte
	err := m.do(ctx, func() {
		if r := m.byAlloc[id.Allocation]; r != nil {
			known, fenced, keyHash = true, r.phase == stopping && r.failure != "", r.KeyHash
		}
	})
	switch {
	case err != nil:
		return &link.Refusal{Code: link.CodeNotReady, Message: "the controller is starting or stopping"}
	case !known:
		return &link.Refusal{Code: link.CodeUnknownAllocation, Message: "this controller has no such allocation, or has given it up"}
	case fenced:
		return &link.Refusal{Code: link.CodeSuperseded, Message: "the replica was given up"}
	}
	hash := sha256.Sum256([]byte(id.Key))
	if id.Key == "" {
		return &link.Refusal{Code: link.CodeBadToken, Message: "no key was shown"}
	}
	if id.Token != "" {
		return m.bindKey(ctx, id, hash[:])
	}
	if len(keyHash) == 0 || subtle.ConstantTimeCompare(keyHash, hash[:]) != 1 {
		return &link.Refusal{Code: link.CodeBadToken, Message: "the key is not the one that joined"}
	}
	return nil
}

func (m *Manager) bindKey(ctx context.Context, id link.Identity, keyHash []byte) error {
	tokenHash := sha256.Sum256([]byte(id.Token))
	err := m.store.Bind(ctx, id.Allocation, tokenHash[:], keyHash)
	switch {
	case errors.Is(err, store.ErrTokenUsed):
		return &link.Refusal{Code: link.CodeUsedToken, Message: "the join token has been used by another agent"}
	case errors.Is(err, store.ErrNotFound):
		return &link.Refusal{Code: link.CodeBadToken, Message: "the join token is wrong"}
	case err != nil:
		return err
	}
	return m.do(ctx, func() {
		if r := m.byAlloc[id.Allocation]; r != nil {
			r.KeyHash = keyHash
		}
	})
}

// accept owns one agent's connection: greeting, then its messages until the
// link ends.
func (m *Manager) accept(ctx context.Context, conn *link.Conn) {
	log := m.log.With(zap.String("allocation", conn.Allocation()), zap.String("remote", conn.Remote()))
	hctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	hello, err := conn.Hello(hctx)
	if err != nil {
		log.Warn("an agent did not greet", errField(err))
		return
	}
	var r *replica
	var welcome link.Welcome
	if err := m.do(ctx, func() { r, welcome = m.attach(conn, hello) }); err != nil || r == nil {
		conn.Close("the allocation is not wanted any more")
		return
	}
	defer func() { _ = m.do(ctx, func() { m.detach(r, conn) }) }()
	if err := conn.Welcome(hctx, welcome); err != nil {
		log.Warn("an agent was not welcomed", errField(err))
		return
	}
	err = conn.Run(ctx, &agentHandler{m: m, r: r, conn: conn, tag: r.Tag, app: r.Application, replica: r.Replica, entry: welcome.Assign == nil || welcome.Assign[0].Entry})
	log.Info("an agent's link ended", zap.Error(err))
}

// attach makes conn the link of its replica and works out what to tell it.
func (m *Manager) attach(conn *link.Conn, hello link.Hello) (*replica, link.Welcome) {
	now := time.Now()
	r := m.byAlloc[conn.Allocation()]
	if r == nil || (r.phase == stopping && r.failure != "") {
		return nil, link.Welcome{}
	}
	if r.conn != nil {
		m.hangUp(r.conn, "the agent dialled in anew")
	}
	first := !r.joined
	r.conn, r.joined, r.lostAt, r.live = conn, true, time.Time{}, nil
	r.attach++
	if first && r.step != "environment" {
		r.enter("environment", now)
	}
	welcome := link.Welcome{Epoch: m.store.Epoch()}
	known := false
	for _, l := range hello.Replicas {
		if l.Tag == r.Tag {
			known = true
			m.resume(r, l, now)
		}
	}
	if !known && r.ready != nil {
		// It was ready and its agent has forgotten it: another process.
		m.fail(r, "the agent came back without its replica", now)
		return nil, link.Welcome{}
	}
	if !known {
		welcome.Assign = []link.Assign{m.assignment(r)}
	}
	m.log.Info("agent attached", appField(r.Application), zap.String("replica", r.Tag), zap.Int("open_calls", len(r.live)), zap.Bool("again", known))
	m.step(r.app, now)
	return r, welcome
}

// resume takes what an agent says of a replica that it already runs.
func (m *Manager) resume(r *replica, l link.Live, now time.Time) {
	r.live = l.Calls
	r.mergeSteps(l.Steps)
	switch {
	case l.End != nil:
		m.onEvent(r, *l.End, now)
	case l.Ready != nil && r.ready == nil:
		m.onReady(r, l.Ready, now)
	case l.Step != "" && l.Step != r.step:
		r.enter(l.Step, now)
	}
	if l.State == link.StateDraining {
		r.draining = true
	}
	if r.phase == stopping {
		m.tell(r, link.Control{Type: link.ControlDrain, Replica: r.Tag, Timeout: grace(r.dep.Deployment).Seconds()})
	}
}

// hangUp closes a link beside the loop: its close frame may wait for a stuck
// connection.
func (m *Manager) hangUp(conn *link.Conn, reason string) {
	m.later(func(context.Context) { conn.Close(reason) }, func() {})
}

// detach notes that a link is gone, unless a newer one took its place.
func (m *Manager) detach(r *replica, conn *link.Conn) {
	if r.conn != conn || r.phase == ended {
		return
	}
	r.conn, r.lostAt = nil, time.Now()
	m.pollSoon(500 * time.Millisecond) // the usual reason is that the job is over
	m.step(r.app, time.Now())
}

// assignment is what a new agent is told to run; secrets travel here and
// nowhere else.
func (m *Manager) assignment(r *replica) link.Assign {
	d, a := r.dep, r.app
	entry := d.Name == a.Deployments[0].Name
	assign := link.Assign{
		Replica: r.Replica, Tag: r.Tag, Application: a.ID, Deployment: d.Name, File: d.File, Class: d.Class,
		Files: a.Files, Kwargs: d.Kwargs, Env: d.Env, Secrets: d.Secrets,
		WorkDir: m.cfg.homeDir(a.ID), Handles: d.Handles, Entry: entry, Options: runtimeOptions(d.Deployment),
	}
	if entry {
		assign.Hypha = a.Hypha
	}
	return assign
}

func runtimeOptions(d Deployment) link.RuntimeOptions {
	o := link.RuntimeOptions{
		HealthPeriod:    orDuration(d.Options.HealthCheckPeriod, defaultHealth).Seconds(),
		HealthTimeout:   orDuration(d.Options.HealthCheckTimeout, defaultHealthLimit).Seconds(),
		GracefulTimeout: grace(d).Seconds(),
		MaxOngoing:      maxOngoing(d),
	}
	if v := d.Options.LogLevel; v.State == manifest.Constant {
		o.LogLevel = v.Value
	}
	if v := d.Options.UserConfig; v.State == manifest.Constant && v.Value != nil {
		o.UserConfig, _ = json.Marshal(v.Value) // made of constants of Python: always possible
	}
	return o
}

func maxOngoing(d Deployment) int {
	if v := d.Options.MaxOngoingRequests; v.State == manifest.Constant && v.Value > 0 {
		return v.Value
	}
	return defaultOngoing
}

// onEvent takes one event of a replica.
func (m *Manager) onEvent(r *replica, c link.Control, now time.Time) {
	r.mergeSteps(c.Steps)
	switch c.Event {
	case link.EventStep:
		r.enter(c.Step, now)
	case link.EventReady:
		if c.Ready != nil {
			m.onReady(r, c.Ready, now)
		}
	case link.EventFailed:
		text := c.Error
		if c.Traceback != "" {
			text = c.Traceback
		}
		m.fail(r, fmt.Sprintf("the step %s failed: %s", c.Step, joinNonEmpty("\n", text, c.Hint)), now)
	case link.EventHealth:
		m.onHealth(r, c, now)
	case link.EventExited:
		m.fail(r, exitCause(r, c), now)
	case link.EventDrained:
		m.tell(r, link.Control{Type: link.ControlStop})
	}
	m.step(r.app, now)
}

func (m *Manager) onReady(r *replica, ready *link.Ready, now time.Time) {
	if r.phase != submitted && r.phase != submitting {
		return
	}
	r.enter("", now)
	r.ready, r.readyAt = ready, now
	r.dep.everRan, r.dep.failed, r.dep.message = true, false, ""
	b, err := json.Marshal(ready)
	if err == nil {
		err = m.store.SetReady(m.workCtx, r.ID, b)
	}
	if err != nil {
		m.log.Error("cannot store what a replica offers", appField(r.Application), errField(err))
	}
	m.log.Info("replica is ready", appField(r.Application), zap.String("replica", r.Tag), zap.String("job", r.Job), zap.Any("steps", r.steps))
}

// onHealth takes a failed health check, or the news that all is well again.
// Three failures in a row replace the replica (contract 3.6).
func (m *Manager) onHealth(r *replica, c link.Control, now time.Time) {
	if c.Failures == 0 {
		r.unwell = ""
		return
	}
	r.unwell = "A replica's health check failed. This deployment will be UNHEALTHY until the replica recovers or a new deploy happens. Error: " + c.Error
	if c.Failures >= 3 {
		m.fail(r, fmt.Sprintf("%d health checks in a row failed: %s", c.Failures, c.Error), now)
	}
}

func exitCause(r *replica, c link.Control) string {
	text := fmt.Sprintf("Python in job %s on %s ended with exit code %d", r.Job, r.job.Node, c.Code)
	if c.Signal != "" {
		text = fmt.Sprintf("Python in job %s on %s was ended by a signal: %s", r.Job, r.job.Node, c.Signal)
	}
	for _, line := range c.Lines {
		text += "\n" + line
	}
	return text
}

func (r *replica) mergeSteps(seconds map[string]float64) {
	for step, s := range seconds {
		r.steps[step] = time.Duration(s * float64(time.Second))
	}
}

// agentHandler takes what one agent sends. An agent speaks for its own
// replica only: a tag that is not its own is dropped.
type agentHandler struct {
	m                 *Manager
	r                 *replica // touched on the loop only
	conn              *link.Conn
	tag, app, replica string
	entry             bool
}

// Control implements link.Handler.
func (h *agentHandler) Control(c link.Control) {
	if c.Type != link.ControlEvent && c.Type != link.ControlDraining {
		return
	}
	_ = h.m.do(h.m.workCtx, func() {
		switch {
		case h.r.phase == ended || h.r.conn != h.conn:
		case c.Type == link.ControlDraining:
			h.r.draining = true
			h.m.step(h.r.app, time.Now())
		case c.Replica == h.tag:
			h.m.onEvent(h.r, c, time.Now())
		}
	})
}

// Message implements link.Handler.
func (h *agentHandler) Message(msg *link.Message) {
	if msg.Replica == h.tag && h.entry {
		h.m.listener.Message(h.app, msg)
	}
}

// Stream implements link.Handler.
func (h *agentHandler) Stream(header link.Header, s *link.Stream) {
	defer s.Close()
	if header.Replica != h.tag {
		return
	}
	switch header.Kind {
	case link.KindLog:
		h.m.logs.collect(h.app, h.replica, s)
	case link.KindHandle:
		h.m.handle(h.app, header, s)
	}
}
