package hypha

import "io"

// Payload is the second segment of a frame, `extra`, as it lies on the wire: Data when it is in memory, else
// Reader, which yields Size bytes. A received Reader is also an io.ReaderAt and is valid until the frame's Release.
type Payload struct {
	Data   []byte
	Reader io.Reader
	Size   int64
}

// Len is the number of bytes.
func (p Payload) Len() int64 {
	if p.Reader != nil {
		return p.Size
	}
	return int64(len(p.Data))
}

// Frame is a received frame whose arguments were not looked at.
type Frame struct {
	Header Header
	Extra  Payload
	// Release frees what Extra holds in files and in the client's account of memory. It must be called exactly when Extra
	// is no longer needed, by whoever took the frame; calling it again does nothing.
	Release func()
}

// Router takes the frames that are not the client's own: `services.<id>.*` of opaque services, services whose id the
// client does not know but begins with `_rintf_`, and every method whose first part is neither "services" nor a
// session of the client ("c-…").
//
// Both methods are called on the read loop, in the order of arrival: they may queue but must not wait.
type Router interface {
	// Route owns the frame and must see to its Release.
	Route(Frame)
	// PeerGone tells that the client "ws/cid" has left the server.
	PeerGone(peer string)
}

// OpaqueService is a service whose frames go to the Router.
type OpaqueService struct {
	// Record is what the server is told: id, name, type, description, docs, config, service_schema. "id" is the bare
	// service id; the client completes it and fills in what is missing. config.visibility and
	// config.authorized_workspaces are enforced by the client before a frame reaches the Router.
	Record map[string]any
	// Describe answers built-in.get_service for this service with a packed object. It runs on its own goroutine.
	Describe func(caller Header) ([]byte, error)
}
