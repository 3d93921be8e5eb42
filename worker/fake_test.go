package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// cluster plays jobs.Manager: what is deployed runs at once, in one replica
// that answers echo, whoami and fail. It outlives a worker, as a store does.
type cluster struct {
	refuse error // what Deploy answers
	slow   bool  // replicas become ready only with start

	mu       sync.Mutex // guards the following fields
	listener jobs.Listener
	apps     []jobs.Application
	ready    map[string]bool
	sick     map[string]string // status of deployments that are not well
	deleting map[string]bool
	attach   int64
}

var _ Replicas = (*cluster)(nil)

func newCluster() *cluster {
	return &cluster{ready: map[string]bool{}, sick: map[string]string{}, deleting: map[string]bool{}}
}

// listen attaches a worker, as a restarted controller does: the replicas that
// are there dial in anew.
func (c *cluster) listen(l jobs.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener = l
	for _, app := range c.apps {
		c.publish(app)
	}
}

func (c *cluster) Deploy(_ context.Context, app jobs.Application) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return c.refuse
	}
	app.Revision = 1
	if i := c.index(app.ID); i >= 0 {
		app.Revision = c.apps[i].Revision + 1
		c.apps[i] = app
	} else {
		c.apps = append(c.apps, app)
	}
	c.ready[app.ID] = !c.slow
	c.publish(app)
	return nil
}

// start lets an application's replica become ready, or lose that.
func (c *cluster) start(id string, ready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready[id] = ready
	delete(c.sick, id)
	c.publish(c.apps[c.index(id)])
}

// cut takes the link to an application's replica away; start brings it back.
func (c *cluster) cut(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	app := c.apps[c.index(id)]
	c.listener.Changed(jobs.Set{Application: id, Revision: app.Revision, Entry: []jobs.EntryReplica{{
		Tag: fmt.Sprintf("r1x%d", app.Revision), MaxOngoing: 5, Attach: c.attach, Ready: readyOf(app),
	}}})
}

// fall gives the deployments of an application a status.
func (c *cluster) fall(id, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sick[id] = status
}

func (c *cluster) publish(app jobs.Application) {
	set := jobs.Set{Application: app.ID, Revision: app.Revision}
	if c.ready[app.ID] && !c.deleting[app.ID] {
		c.attach++
		set.Entry = []jobs.EntryReplica{{
			Tag: fmt.Sprintf("r1x%d", app.Revision), MaxOngoing: 5, Attach: c.attach,
			Link: &player{cluster: c, app: app, tag: fmt.Sprintf("r1x%d", app.Revision)}, Ready: readyOf(app),
		}}
	}
	c.listener.Changed(set)
}

func (c *cluster) index(id string) int {
	return slices.IndexFunc(c.apps, func(a jobs.Application) bool { return a.ID == id })
}

func (c *cluster) Remove(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index(id) < 0 {
		return jobs.ErrUnknown
	}
	c.deleting[id] = true
	c.publish(c.apps[c.index(id)])
	return nil
}

// bury ends the removal of an application.
func (c *cluster) bury(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apps = slices.Delete(c.apps, c.index(id), c.index(id)+1)
	delete(c.deleting, id)
	c.listener.Removed(id)
}

func (c *cluster) SetRecord(_ context.Context, id string, r json.RawMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.index(id); i >= 0 {
		c.apps[i].Record = r
		return nil
	}
	return jobs.ErrUnknown
}

func (c *cluster) Applications(context.Context) ([]jobs.Application, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	apps := slices.Clone(c.apps)
	for i := range apps {
		apps[i].Removing = c.deleting[apps[i].ID]
	}
	return apps, nil
}

func (c *cluster) app(id string) jobs.Application {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apps[c.index(id)]
}

func (c *cluster) Status(_ context.Context, id string) (jobs.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(id)
	if i < 0 {
		return jobs.Status{}, jobs.ErrUnknown
	}
	s := jobs.Status{ID: id, Revision: c.apps[i].Revision, Deleting: c.deleting[id]}
	for _, d := range c.apps[i].Deployments {
		one := jobs.DeploymentStatus{Name: d.Name, Status: "UPDATING", ReplicaStates: map[string]int{"STARTING": 1, "RUNNING": 0}, CPUs: 1}
		if c.ready[id] {
			one.Status, one.EverRan, one.ReplicaStates = "HEALTHY", true, map[string]int{"RUNNING": 1}
			one.Replicas = []jobs.ReplicaStatus{{
				ID: "living", JobID: "7", State: "RUNNING", Node: "c1", Created: time.Unix(1_700_000_000, 0),
				Steps: map[string]time.Duration{"queue": 1500 * time.Millisecond},
			}}
		}
		if word := c.sick[id]; word != "" {
			one.Status, one.Message, one.EverRan = word, "out of order", true
		}
		s.Deployments = append(s.Deployments, one)
	}
	return s, nil
}

func (c *cluster) Logs(_ context.Context, id string, tail, previous int) (map[string]map[string]jobs.Log, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]map[string]jobs.Log{}
	i := c.index(id)
	if i < 0 {
		return found, nil
	}
	for _, d := range c.apps[i].Deployments {
		logs := map[string]jobs.Log{"living": {
			Created: time.Unix(1_700_000_000, 0), Timezone: "CET",
			Stdout: lastOf([]string{"one", "two"}, tail), Stderr: lastOf([]string{"broken \xff text"}, tail),
		}}
		for n := range previous {
			logs[fmt.Sprintf("dead-%d", n)] = jobs.Log{Created: time.Unix(int64(1_600_000_000+n), 0)}
		}
		found[d.Name] = logs
	}
	return found, nil
}

func lastOf(lines []string, tail int) []string {
	if tail < 0 || tail > len(lines) {
		return lines
	}
	return lines[len(lines)-tail:]
}

// readyOf is what a replica says of itself, as the runtime does.
func readyOf(app jobs.Application) link.Ready {
	var h struct {
		Client    string `json:"client_id"`
		Workspace string
		Service   map[string]any
	}
	if err := json.Unmarshal(app.Hypha, &h); err != nil {
		panic(err)
	}
	object, record := map[string]any{}, map[string]any{}
	for key, value := range h.Service {
		object[key], record[key] = value, value
	}
	schema := map[string]any{}
	for _, name := range []string{"echo", "whoami", "fail"} {
		function := map[string]any{
			"name": name, "description": "Does " + name + ".",
			"parameters": map[string]any{"type": "object", "properties": map[string]any{"value": map[string]any{"type": "string"}}},
		}
		schema[name] = map[string]any{"type": "function", "function": function}
		object[name] = map[string]any{
			"_rtype": "method", "_rtarget": h.Workspace + "/" + h.Client, "_rmethod": "services." + app.ID + "." + name,
			"_rpromise": "*", "_rserver": "http://an.earlier.address", "_rname": name, "_rschema": function,
		}
	}
	record["service_schema"] = schema
	return link.Ready{Description: must(pack(object)), Registration: must(pack(record)), Methods: []string{"echo", "fail", "whoami"}}
}

// player is one replica's link: it answers each call by itself.
type player struct {
	cluster *cluster
	app     jobs.Application
	tag     string
}

func (p *player) Control(context.Context, link.Control) error { return nil }

func (p *player) Send(_ context.Context, m *link.Message) error {
	data := slices.Concat(m.Head, m.Data)
	h, n, err := hypha.ParseHeader(data)
	if err != nil || h.Session == "" {
		return err
	}
	var extra struct {
		Args []any `msgpack:"args"`
	}
	if err := msgpack.Unmarshal(data[n:], &extra); err != nil {
		return err
	}
	reply := hypha.Header{Type: "method", To: h.From, Parent: h.Session, Method: h.Session + ".resolve"}
	var value any
	switch {
	case h.Method == "services."+p.app.ID+".fail":
		reply.Method = h.Session + ".reject"
		value = map[string]any{"_rtype": "error", "_rvalue": "ValueError: as asked", "_rtrace": "ValueError: as asked"}
	case h.Method == "services."+p.app.ID+".whoami":
		value = p.tag
	case len(extra.Args) > 0:
		value = extra.Args[0]
	}
	answer := &link.Message{
		Replica: p.tag, Call: m.Call, Ends: true,
		Data: slices.Concat(reply.Append(nil), must(pack(map[string]any{"args": []any{value}}))),
	}
	p.cluster.mu.Lock()
	l := p.cluster.listener
	p.cluster.mu.Unlock()
	go l.Message(p.app.ID, answer) // ends once the relay has taken it
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
