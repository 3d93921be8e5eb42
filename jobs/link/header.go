package link

// Header opens every stream.
type Header struct {
	Kind       string `json:"kind"`
	Replica    string `json:"replica,omitempty"`    // tag; of a handle call: the caller's towards the controller, the callee's towards its agent
	Deployment string `json:"deployment,omitempty"` // handle: the deployment called
	Method     string `json:"method,omitempty"`     // handle
	ID         string `json:"id,omitempty"`         // handle: names the call in logs
	Size       int64  `json:"size,omitempty"`       // handle: bytes of the request, for admission; not trusted
}

// lane names the streams that keep their order among themselves.
func (h Header) lane() string { return h.Kind + " " + h.Replica }
