package hypha

import "context"

// Service is what Register offers to others. Its methods are called with decoded arguments.
type Service struct {
	// ID is the bare id, without "." "/" ":" and "@", and not beginning with "_".
	ID string
	// Name defaults to ID, Type to "generic".
	Name, Type string
	// Description has at most 1024 characters.
	Description, Docs string
	// Config may set visibility (public, unlisted, protected = default), authorized_workspaces, require_context and keys
	// of one's own (hypha-protocol 4.1).
	Config  map[string]any
	Methods []Method
}

// Method is one function of a service.
type Method struct {
	// Name may have dots: "a.b" is member b of member a.
	Name string
	// Doc is the text that tools and language models read.
	Doc    string
	Params []Param
	// Schema is the JSON schema of the arguments (type object); derived from Params when nil.
	Schema map[string]any
	// Handler runs on a goroutine of its own. ctx ends when the caller leaves the server or the client is closed; not when
	// our connection breaks. Its error reaches the caller as `<Class>: <message>` (see Error).
	Handler func(ctx context.Context, r *Request) (any, error)
}

// Param is one parameter; the order of Method.Params is the order of positional arguments.
type Param struct {
	Name string
	// Type is a JSON schema type: string, integer, number, boolean, array, object, null; "" accepts all. Text sent for another declared
	// type is converted where it parses, since HTTP GET callers can only send text. Nothing else is converted or checked.
	Type        string
	Description string
	// Default is bound when the argument is absent and Required is false.
	Default  any
	Required bool
	// Schema replaces the schema derived from Type, Description and Default.
	Schema map[string]any
}

// Request is one call.
type Request struct {
	Caller Caller
	// Args has exactly the names of Params.
	Args map[string]any
}

// Caller says who calls, as the server vouches for it (hypha-protocol 4.4).
type Caller struct {
	From, To, Workspace, Method, Session string
	User                                 User
	// Raw is the whole context: the header's keys and connection_type.
	Raw map[string]any
}
