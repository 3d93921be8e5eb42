package hypha

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// registry holds the services we offer. The local entry exists before the server is told, since the server may ask for it
// at once.
type registry struct {
	mu   sync.RWMutex // guards the following field
	byID map[string]*entry

	// telling is held while the server is told of an entry, so that a service registered during a reconnect is registered
	// exactly once. It guards entry.told.
	telling chan struct{} // capacity 1
}

// entry is a service of either sort.
type entry struct {
	id      string
	order   int
	record  map[string]any // what the server is told, with the bare id
	methods map[string]*Method
	service *Service       // own service, or
	opaque  *OpaqueService // one of the Router
	told    *connection    // the connection it was registered on last
}

func newRegistry() *registry {
	return &registry{byID: map[string]*entry{}, telling: make(chan struct{}, 1)}
}

// lock waits for the right to tell the server.
func (r *registry) lock(ctx context.Context) error {
	select {
	case r.telling <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *registry) unlock() { <-r.telling }

func (r *registry) get(id string) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// put adds or replaces an entry and returns the replaced one.
func (r *registry) put(e *entry) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.byID[e.id]
	e.order = len(r.byID)
	if old != nil {
		e.order = old.order
	}
	r.byID[e.id] = e
	return old
}

// remove deletes the entry, unless another has taken its place; with other it is put back.
func (r *registry) remove(e, other *entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[e.id] != e {
		return false
	}
	delete(r.byID, e.id)
	if other != nil {
		r.byID[e.id] = other
	}
	return true
}

// all is every entry in the order of registration.
func (r *registry) all() []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.byID), func(a, b *entry) int { return a.order - b.order })
}

// isRouted tells whether a method's arguments belong to the Router.
func (r *registry) isRouted(method string) bool {
	first, rest, _ := strings.Cut(method, ".")
	if first != "services" {
		return !strings.HasPrefix(first, sessionPrefix)
	}
	id, _, _ := strings.Cut(rest, ".")
	if id == "built-in" {
		return false
	}
	e := r.get(id)
	return e == nil || e.opaque != nil
}

// mayCall applies the visibility of a service (hypha-protocol 4.4).
func (e *entry) mayCall(h Header, us Info) bool {
	config, _ := e.record["config"].(map[string]any)
	switch config["visibility"] {
	case "public", "unlisted":
		return true
	}
	workspace, _, _ := strings.Cut(h.From, "/")
	return workspace == us.Workspace || h.From == "*/"+us.ManagerID || authorized(config, workspace)
}

func authorized(config map[string]any, workspace string) bool {
	switch list := config["authorized_workspaces"].(type) {
	case []any:
		return slices.Contains(list, any(workspace))
	case []string:
		return slices.Contains(list, workspace)
	}
	return false
}

const (
	maxDescription = 1024
	badIDRunes     = "./:@"
)

func checkID(id string) error {
	if id == "" || id == "built-in" || strings.HasPrefix(id, "_") || strings.ContainsAny(id, badIDRunes) {
		return fmt.Errorf("hypha: %q cannot be a service id", id)
	}
	return nil
}

// newEntry checks an own service.
func newEntry(s Service) (*entry, error) {
	if err := checkID(s.ID); err != nil {
		return nil, err
	}
	s.Methods = slices.Clone(s.Methods)
	methods := make(map[string]*Method, len(s.Methods))
	for i := range s.Methods {
		m := &s.Methods[i]
		if err := m.wireDefaults(); err != nil {
			return nil, fmt.Errorf("hypha: service %s: method %s: %w", s.ID, m.Name, err)
		}
		if m.Name == "" || strings.HasPrefix(m.Name, "_") || m.Handler == nil || methods[m.Name] != nil {
			return nil, fmt.Errorf("hypha: service %s: method %q has no handler, a bad name, or occurs twice", s.ID, m.Name)
		}
		methods[m.Name] = m
	}
	record := map[string]any{
		"id": s.ID, "name": s.Name, "type": s.Type, "description": s.Description, "docs": s.Docs,
		"config": s.Config, "service_schema": s.serviceSchema(),
	}
	full, err := completeRecord(record)
	return &entry{id: s.ID, record: full, methods: methods, service: &s}, err
}

// wireDefaults gives defaults the types that arguments have when they were sent, so that handlers see one kind of integer.
func (m *Method) wireDefaults() error {
	m.Params = slices.Clone(m.Params)
	for i := range m.Params {
		p := &m.Params[i]
		packed, err := encodePlain(p.Default)
		if err == nil {
			p.Default, err = decodePlain(packed)
		}
		if err != nil {
			return fmt.Errorf("default of %s: %w", p.Name, err)
		}
	}
	return nil
}

// newOpaqueEntry checks a service of the Router.
func newOpaqueEntry(s OpaqueService) (*entry, error) {
	id, _ := s.Record["id"].(string)
	if err := checkID(id); err != nil {
		return nil, err
	}
	if s.Describe == nil {
		return nil, fmt.Errorf("hypha: opaque service %s has no Describe", id)
	}
	full, err := completeRecord(s.Record)
	return &entry{id: id, record: full, opaque: &s}, err
}

// completeRecord copies a record and fills in what the server wants.
func completeRecord(given map[string]any) (map[string]any, error) {
	record := maps.Clone(given)
	setEmpty(record, "name", record["id"])
	setEmpty(record, "type", "generic")
	setEmpty(record, "app_id", "*")
	description, _ := record["description"].(string)
	if len([]rune(description)) > maxDescription {
		return nil, fmt.Errorf("hypha: description of service %v is longer than %d characters", record["id"], maxDescription)
	}
	for _, key := range []string{"description", "docs"} {
		if record[key] == "" {
			delete(record, key)
		}
	}
	config, _ := record["config"].(map[string]any)
	config = maps.Clone(config)
	if config == nil {
		config = map[string]any{}
	}
	setEmpty(config, "visibility", "protected")
	setEmpty(config, "require_context", true)
	record["config"] = config
	if record["service_schema"] == nil {
		record["service_schema"] = map[string]any{}
	}
	return record, nil
}

func setEmpty(fields map[string]any, key string, value any) {
	if v, ok := fields[key]; !ok || v == nil || v == "" {
		fields[key] = value
	}
}
