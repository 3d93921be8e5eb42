package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// TestModel drives a relay with random events: calls of all sorts, answers true and false, links that break with
// messages under way, replicas lost and new, callers that leave, restarts of the controller. After each event the tables
// must agree with one another; at the end each call has had exactly one answer, none has run twice, and nothing is left.
func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newModel(t, seed).run(2500) })
		})
	}
}

// model is a world around a relay. Its parts share one lock and one source of chance.
type model struct {
	t *testing.T

	mu       sync.Mutex
	chance   *rand.Rand
	runs     map[string]int // deliveries of each call
	answered map[string]int // answers of each call, by key
	issued   map[string]bool
	twice    map[string]bool // may run and be answered twice: sent twice
	again    map[string]bool // may be answered twice: ended by a controller that is gone, but not in the replica
	excused  map[string]bool // nobody waits for the answer: the caller left or was told by the server
	agents   []*agent
	peers    []string
	serial   int

	relay *Relay
	stop  context.CancelFunc
	done  chan error
	work  sync.WaitGroup // frames on their way from replicas
}

// agent is a replica behind its link.
type agent struct {
	m       *model
	replica Replica
	line    *line
	open    map[string]bool // calls that it runs
	held    []string        // calls whose answers wait for the link
}

// line is one attachment of an agent.
type line struct {
	agent *agent
	done  chan struct{}
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t: t, chance: rand.New(rand.NewPCG(seed, 1)),
		runs: map[string]int{}, answered: map[string]int{}, issued: map[string]bool{}, excused: map[string]bool{}, twice: map[string]bool{}, again: map[string]bool{},
	}
	for range 6 {
		m.newPeer()
	}
	m.start()
	return m
}

func (m *model) n(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.chance.IntN(n)
}

func (m *model) next() int {
	m.serial++
	return m.serial
}

func (m *model) newPeer() { m.peers = append(m.peers, fmt.Sprintf("ws-%d/c", m.next())) }

func (m *model) start() {
	var err error
	m.relay, err = New(Config{
		App: app, Client: client, MaxOngoing: 12, Policy: everybody{},
		Limits: Limits{Waiting: 30, WaitingPerCaller: 12, SessionCalls: 40, SessionCallsPerCaller: 15, Frames: 50, Contacts: 20},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.done = cancel, make(chan error, 1)
	go func() { m.done <- m.relay.Run(ctx, (*modelConnection)(m)) }()
}

func (m *model) run(events int) {
	type event struct {
		weight int
		happen func()
	}
	all := []event{
		{50, m.someCall}, {10, m.someObjectCall}, {5, m.someCallback}, {4, m.forgedAnswer}, {45, m.someAnswer},
		{4, m.breakLink}, {7, m.attach}, {1, m.loseReplica}, {3, m.addReplica}, {2, m.drain},
		{2, m.peerLeaves}, {1, m.rarely(m.restart)}, {1, m.unhealthy}, {1, m.resize}, {8, m.timePasses},
	}
	total := 0
	for _, e := range all {
		total += e.weight
	}
	for range events {
		pick := m.n(total)
		for _, e := range all {
			if pick -= e.weight; pick < 0 {
				e.happen()
				break
			}
		}
		m.consistent()
		if m.t.Failed() {
			break
		}
	}
	m.finish()
}

// finish lets everything come to its end and looks at what is left.
func (m *model) finish() {
	m.relay.SetUnhealthy(nil)
	if len(m.agents) == 0 {
		m.addReplica()
	}
	for _, a := range m.agents {
		a.replica.Draining = false
		if a.line == nil {
			m.attachTo(a)
		}
	}
	m.publish()
	for range 200 {
		time.Sleep(2 * time.Second)
		for m.someOpen() {
			m.someAnswer()
		}
	}
	m.work.Wait()
	synctest.Wait()
	m.consistent()
	if s := m.relay.Stats(); s.Open+s.Waiting+s.Ongoing != 0 || s.HeldBytes != 0 || s.Accepted != s.Answered+s.Failed+s.Left {
		m.t.Errorf("left behind: %+v", s)
	}
	m.t.Logf("%d calls, last controller: %+v", len(m.issued), m.relay.Stats())
	m.stop()
	if err := <-m.done; err != nil {
		m.t.Error(err)
	}
	m.verify()
}

func (m *model) verify() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.issued {
		most, answers := 1, 1
		if m.twice[key] {
			most, answers = 2, 2
		}
		if m.again[key] {
			answers++
		}
		if n := m.answered[key]; n > answers || n == 0 && !m.excused[key] {
			m.t.Errorf("call %q had %d answers and %d runs", key, n, m.runs[key])
		}
		if n := m.runs[key]; n > most {
			m.t.Errorf("call %q ran %d times", key, n)
		}
	}
}

func (m *model) peer() string { return m.peers[m.n(len(m.peers))] }

func (m *model) agent() *agent {
	if len(m.agents) == 0 {
		return nil
	}
	return m.agents[m.n(len(m.agents))]
}

// issue makes a frame that opens a call.
func (m *model) issue(method string) hypha.Frame {
	peer, session := m.peer(), fmt.Sprint("s", m.next())
	if m.n(8) == 0 {
		session += ".nested"
	}
	f := frame(peer, method, session, map[string]any{"promise": "*", "t": []float64{0.5, 3, 15, 3600}[m.n(4)]})
	switch m.n(20) {
	case 0:
		f.Extra.Data = pack(map[string]any{"_enc": map[string]any{"v": 2}, "data": []byte("x")})
	case 1:
		f.Extra.Data = append(f.Extra.Data, make([]byte, bulkBytes)...)
	case 2:
		f.Header.Session = ""
		return f
	case 3:
		f.Header.Parent = "r9x9-forged"
	}
	m.mu.Lock()
	m.issued[key(peer, session)] = true
	m.mu.Unlock()
	return f
}

func (m *model) someCall() {
	f := m.issue("services.demo.work")
	m.relay.Route(f)
	if m.n(30) == 0 {
		m.relay.Route(f) // the same session again: answered too if the first has ended
		m.mu.Lock()
		m.twice[key(f.Header.From, f.Header.Session)] = true
		m.mu.Unlock()
	}
}

func (m *model) someObjectCall() {
	if a := m.agent(); a != nil {
		m.relay.Route(m.issue(a.replica.Tag + "-obj.next"))
	} else {
		m.relay.Route(m.issue("r0x0-gone.next"))
	}
}

func (m *model) someCallback() {
	if a := m.agent(); a != nil {
		m.relay.Route(frame(m.peer(), a.replica.Tag+"-cb.resolve", "", nil))
		m.emit(a, m.peer(), fmt.Sprint("s", m.n(m.serial)), "x7", false)
	}
}

func (m *model) forgedAnswer() {
	if a := m.agent(); a != nil {
		m.mu.Lock()
		foreign := slices.DeleteFunc(slices.Sorted(maps.Keys(m.issued)), func(k string) bool { return a.open[k] })
		m.mu.Unlock()
		if len(foreign) > 0 {
			peer, session, _ := strings.Cut(foreign[m.n(len(foreign))], "\x00")
			m.emit(a, peer, session, "resolve", false)
		}
	}
}

func (m *model) someOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.agents, func(a *agent) bool { return len(a.open) > 0 })
}

// someAnswer lets a replica end one of its calls. Without a link the answer is held, or lost.
func (m *model) someAnswer() {
	a := m.agent()
	if a == nil {
		return
	}
	m.mu.Lock()
	keys := slices.Sorted(maps.Keys(a.open))
	m.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	k := keys[m.n(len(keys))]
	if a.line == nil && m.n(2) == 0 {
		m.mu.Lock()
		a.held = append(a.held, k)
		m.mu.Unlock()
		return
	}
	m.mu.Lock()
	delete(a.open, k)
	m.mu.Unlock()
	if a.line != nil {
		m.settle(a, k)
	}
}

func (m *model) settle(a *agent, k string) {
	peer, session, _ := strings.Cut(k, "\x00")
	if m.n(4) == 0 {
		m.emit(a, peer, session, "heartbeat", false)
	}
	m.emit(a, peer, session, []string{"resolve", "reject"}[m.n(2)], m.n(10) == 0)
}

func (m *model) emit(a *agent, peer, session, what string, large bool) {
	msg := &link.Message{Replica: a.replica.Tag}
	if large {
		msg = largeAnswer(a.replica.Tag, peer, session, 400<<10, []int64{400 << 10, 100 << 10}[m.n(2)])
	} else {
		msg.Data = hypha.Header{Type: "method", To: peer, Method: session + "." + what, Parent: session}.Append(nil)
	}
	r := m.relay
	m.work.Go(func() { r.FromReplica(context.Background(), msg) })
}

func (m *model) breakLink() {
	a := m.agent()
	if a == nil || a.line == nil {
		return
	}
	close(a.line.done)
	a.line = nil
	if m.n(2) == 0 { // the set notices now, or at some later event
		m.publish()
	}
}

func (m *model) attach() {
	if a := m.agent(); a != nil {
		if a.line != nil {
			close(a.line.done)
		}
		m.attachTo(a)
		m.publish()
		m.deliverHeld(a)
	}
}

func (m *model) attachTo(a *agent) {
	a.line = &line{agent: a, done: make(chan struct{})}
	a.replica.Attach++
	m.mu.Lock()
	a.replica.Live = slices.Sorted(maps.Keys(a.open))
	m.mu.Unlock()
}

// deliverHeld sends the answers that waited for the link.
func (m *model) deliverHeld(a *agent) {
	m.mu.Lock()
	held := a.held
	a.held = nil
	held = slices.DeleteFunc(held, func(k string) bool { return !a.open[k] })
	for _, k := range held {
		delete(a.open, k)
	}
	m.mu.Unlock()
	for _, k := range held {
		m.settle(a, k)
	}
}

func (m *model) loseReplica() {
	a := m.agent()
	if a == nil {
		return
	}
	m.mu.Lock()
	m.agents = slices.DeleteFunc(m.agents, func(other *agent) bool { return other == a })
	m.mu.Unlock()
	m.publish()
}

func (m *model) addReplica() {
	if len(m.agents) == 5 {
		return
	}
	a := &agent{m: m, open: map[string]bool{}, replica: Replica{Tag: fmt.Sprint("r1x", m.next()), MaxOngoing: 1 + m.n(6)}}
	m.mu.Lock()
	m.agents = append(m.agents, a)
	m.mu.Unlock()
	m.attachTo(a)
	m.publish()
}

func (m *model) drain() {
	if a := m.agent(); a != nil {
		a.replica.Draining = !a.replica.Draining
		m.publish()
	}
}

func (m *model) peerLeaves() {
	i := m.n(len(m.peers))
	m.excuse(m.peers[i] + "\x00")
	m.relay.PeerGone(m.peers[i])
	m.peers[i] = fmt.Sprintf("ws-%d/c", m.next())
}

// excuse notes that nobody waits for the calls of a peer any more; "" means all.
func (m *model) excuse(prefix string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.issued {
		if strings.HasPrefix(k, prefix) {
			m.excused[k] = true
		}
	}
}

// restart ends the controller; the next one knows the replicas but no calls, and gets all links anew.
func (m *model) restart() {
	m.stop()
	<-m.done
	m.work.Wait()
	m.excuse("")
	for _, a := range m.agents {
		for k := range a.open {
			m.again[k] = m.answered[k] > 0
		}
		if a.line != nil {
			close(a.line.done)
			a.line = nil
		}
	}
	m.start()
	m.publish()
	for _, a := range m.agents {
		m.attachTo(a)
		m.publish()
		m.deliverHeld(a)
	}
}

// rarely does it one time in four.
func (m *model) rarely(do func()) func() {
	return func() {
		if m.n(4) == 0 {
			do()
		}
	}
}

func (m *model) unhealthy() {
	if m.n(2) == 0 {
		m.relay.SetUnhealthy(errors.New("unhealthy"))
	} else {
		m.relay.SetUnhealthy(nil)
	}
}

func (m *model) resize() { m.relay.SetMaxOngoing(6 + m.n(7)) }

func (m *model) timePasses() {
	time.Sleep(time.Duration(m.n([]int{100, 3000, 40_000}[m.n(3)])) * time.Millisecond)
}

func (m *model) publish() {
	set := make([]Replica, 0, len(m.agents))
	for _, a := range m.agents {
		rep := a.replica
		if a.line != nil {
			rep.Link = a.line
		}
		set = append(set, rep)
	}
	m.relay.SetReplicas(set)
}

// Send delivers, after a while, or breaks off; when the link ends just then, the message may have arrived or not.
func (l *line) Send(ctx context.Context, msg *link.Message) error {
	m := l.agent.m
	if wait := m.n(200); wait > 150 || msg.Len() > bulkBytes {
		select {
		case <-time.After(time.Duration(wait*wait) * time.Millisecond / 20):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	broken := ended(l)
	if broken && m.n(2) == 0 {
		return errors.New("link lost")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if msg.Opens && slices.Contains(m.agents, l.agent) {
		m.runs[msg.Call]++
		l.agent.open[msg.Call] = true
	}
	if broken {
		return errors.New("link lost")
	}
	return nil
}

func (l *line) Control(_ context.Context, c link.Control) error {
	m := l.agent.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Type == link.ControlCancel && m.chance.IntN(2) == 0 {
		delete(l.agent.open, c.Call)
	}
	return nil
}

func (l *line) Done() <-chan struct{} { return l.done }

// modelConnection is the model as Hypha sees it.
type modelConnection model

func (c *modelConnection) count(to, session string) {
	m := (*model)(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key(to, session)
	if !m.issued[k] {
		m.t.Errorf("answer to a call that was never made: %q", k)
	}
	m.answered[k]++
}

func (c *modelConnection) Send(ctx context.Context, h hypha.Header, p hypha.Payload) error {
	m := (*model)(c)
	if m.n(5) == 0 {
		time.Sleep(time.Duration(m.n(300)) * time.Millisecond)
	}
	if p.Reader != nil {
		if err := drainReader(ctx, p); err != nil {
			return err
		}
	}
	if session, ok := strings.CutSuffix(h.Method, ".heartbeat"); ok {
		if !m.isIssued(h.To, session) {
			m.t.Errorf("heartbeat of a call that was never made: %+v", h)
		}
		return nil
	}
	if want, session := read(h.Method); want != callback {
		c.count(h.To, session)
	}
	return nil
}

func (m *model) isIssued(peer, session string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.issued[key(peer, session)]
}

func drainReader(ctx context.Context, p hypha.Payload) error {
	buf := make([]byte, 64<<10)
	for left := p.Size; left > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := p.Reader.Read(buf[:min(left, int64(len(buf)))])
		if left -= int64(n); err != nil && left > 0 {
			return err
		}
	}
	return nil
}

func (c *modelConnection) Resolve(_ context.Context, to hypha.Header, _ any) error {
	c.count(to.From, to.Session)
	return nil
}

func (c *modelConnection) Reject(_ context.Context, to hypha.Header, err error) error {
	if err == nil || err.Error() == "" {
		c.t.Error("empty error")
	}
	c.count(to.From, to.Session)
	return nil
}

func (c *modelConnection) Heartbeat(_ context.Context, to hypha.Header) error {
	if !(*model)(c).isIssued(to.From, to.Session) {
		c.t.Errorf("heartbeat to nobody: %+v", to)
	}
	return nil
}

// consistent recounts everything the relay counts.
func (m *model) consistent() {
	m.t.Helper()
	r := m.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	ongoing, sessions := 0, 0
	perReplica, contacts, callers := map[*replica]int{}, map[*contact]int{}, map[string]caller{}
	for k, c := range r.open {
		who := callers[c.caller.From]
		switch {
		case c.key != k || c.state == callEnded:
			m.t.Errorf("table holds %+v under %q", c, k)
		case c.state == callWaiting:
			who.waiting++
			if !slices.Contains(r.waiting, c) || c.counted || c.replica != nil {
				m.t.Errorf("waiting call out of line: %+v", c)
			}
		case r.replicas[c.replica.tag] != c.replica && c.state != callAnswering:
			m.t.Errorf("call of a lost replica: %+v", c)
		}
		if c.counted {
			ongoing++
			perReplica[c.replica]++
		}
		if !c.service {
			sessions++
			who.sessions++
		}
		if who != (caller{}) {
			callers[c.caller.From] = who
		}
		if c.contact != nil {
			contacts[c.contact]++
		}
	}
	if ongoing != r.ongoing || sessions != r.sessions || len(r.waiting) > r.limits.Waiting+12 {
		m.t.Errorf("%d ongoing, counted %d; %d sessions, counted %d; %d waiting", r.ongoing, ongoing, r.sessions, sessions, len(r.waiting))
	}
	for _, c := range r.waiting {
		if r.open[c.key] != c {
			m.t.Errorf("in line but not open: %+v", c)
		}
	}
	for _, rep := range r.replicas {
		if rep.ongoing != perReplica[rep] || (rep.slot != 0) != rep.able() {
			m.t.Errorf("replica %s: %d ongoing, counted %d; slot %d, able %v", rep.tag, rep.ongoing, perReplica[rep], rep.slot, rep.able())
		}
	}
	for _, c := range r.contacts.all {
		if c.calls != contacts[c] {
			m.t.Errorf("contact %v: %d calls, counted %d", c.pair, c.calls, contacts[c])
		}
	}
	for peer, who := range r.callers {
		if *who != callers[peer] {
			m.t.Errorf("caller %s: %+v, counted %+v", peer, *who, callers[peer])
		}
	}
	if len(r.waiting) > 0 && r.vacant() != nil {
		m.t.Errorf("%d calls wait although there is room", len(r.waiting))
	}
	for i, a := range r.agenda.heap {
		if a.slot != i+1 || i > 0 && a.at.Before(r.agenda.heap[(i-1)/2].at) {
			m.t.Errorf("agenda out of order at %d", i)
		}
	}
}
