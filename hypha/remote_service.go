package hypha

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
)

// GetServiceOptions refine GetService; the zero value is right for most.
type GetServiceOptions struct {
	// Mode chooses among several: exact, random, first, last, min_load, native:random, select:<how>:<function>.
	Mode string
	// Timeout bounds the provider's answer to the manager (10 s).
	Timeout time.Duration
}

// GetService finds a service by any form of id (hypha-protocol 4.5): "id", "client:id", "ws/id", "ws/client:id[@app]", "~"
// for the manager, or the URL of a service. A service that does not exist is a *RemoteError of class KeyError.
func (c *Client) GetService(ctx context.Context, id string, options GetServiceOptions) (*RemoteService, error) {
	s := &RemoteService{client: c, asked: serviceID(id), options: options}
	if err := s.fetch(ctx); err != nil {
		return nil, fmt.Errorf("hypha: get service %s: %w", id, err)
	}
	return s, nil
}

// serviceID turns https://host/ws/services/[client:]id[/…] into ws/[client:]id; others pass.
func serviceID(id string) string {
	u, err := url.Parse(id)
	if err != nil || u.Host == "" {
		return id
	}
	before, after, ok := strings.Cut(u.Path, "/services/")
	if !ok {
		return id
	}
	service, _, _ := strings.Cut(after, "/")
	return before[strings.LastIndexByte(before, '/')+1:] + "/" + service
}

// RemoteService is a service of a peer. When its provider has restarted it is fetched again by itself.
type RemoteService struct {
	client  *Client
	asked   string
	options GetServiceOptions

	mu     sync.Mutex // guards the following field
	fields map[string]any
}

// ID is the full id, "ws/client:id".
func (s *RemoteService) ID() string {
	id, _ := s.Fields()["id"].(string)
	return id
}

// Fields is the whole description: id, name, type, config and members, of which functions are *Function. It must not be
// changed.
func (s *RemoteService) Fields() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fields
}

func (s *RemoteService) fetch(ctx context.Context) error {
	keywords := Kwargs{}
	config := map[string]any{}
	if s.options.Mode != "" {
		config["mode"] = s.options.Mode
	}
	if s.options.Timeout > 0 {
		config["timeout"] = s.options.Timeout.Seconds()
	}
	if len(config) > 0 {
		keywords["config"] = config
	}
	value, err := s.client.Call(ctx, Manager, "get_service", s.asked, keywords)
	if err != nil {
		return err
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("the manager answered with %T", value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fields = fields
	return nil
}

// Call calls a member; dots lead into nested members and lists. When the provider does not know the method (any more), or
// the server says that the provider is gone, the call was certainly not run: the service is fetched again and the call
// repeated once.
func (s *RemoteService) Call(ctx context.Context, member string, args ...any) (any, error) {
	f, err := s.Function(member)
	if err != nil {
		return nil, err
	}
	value, err := f.Call(ctx, args...)
	if !stale(err) {
		return value, err
	}
	if again := s.fetch(ctx); again != nil {
		return nil, errors.Join(err, fmt.Errorf("fetch %s again: %w", s.asked, again))
	}
	if f, err = s.Function(member); err != nil {
		return nil, err
	}
	return f.Call(ctx, args...)
}

// Function finds a member by its path.
func (s *RemoteService) Function(member string) (*Function, error) {
	at := any(s.Fields())
	for part := range strings.SplitSeq(member, ".") {
		at = child(at, part)
	}
	f, ok := at.(*Function)
	if !ok {
		return nil, Errorf("AttributeError", "service %s has no function %s", s.ID(), member)
	}
	return f, nil
}

func child(at any, part string) any {
	switch at := at.(type) {
	case map[string]any:
		return at[part]
	case []any:
		for i := range at {
			if fmt.Sprint(i) == part {
				return at[i]
			}
		}
	}
	return nil
}

// staleTexts begin the answers of providers and server to calls that were not run (hypha-protocol 2.4).
var staleTexts = []string{"Method expired or not found", "Session not found", "Method not found:", "Target peer "}

func stale(err error) bool {
	var remote *RemoteError
	if !errors.As(err, &remote) {
		return false
	}
	for _, text := range staleTexts {
		if strings.HasPrefix(remote.Message, text) {
			return true
		}
	}
	return false
}
