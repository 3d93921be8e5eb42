package hypha

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// Manager is the target that means the workspace manager; its address is taken when the call is made, since it
// changes with every restart of the server.
const Manager = "*"

// Config says where to connect and as whom.
type Config struct {
	// ServerURL is http(s)://host[/base], or a ws(s):// URL used as it is.
	ServerURL string
	// Workspace is "" for the token's own.
	Workspace string
	// ClientID is "" for a random one. Never use one id twice at the same time.
	ClientID string
	// Token is called before each connect, so that it can read a renewed file; nil connects anonymously.
	Token func(context.Context) (string, error)
	// Logger may be nil.
	Logger *zap.Logger
	// MethodTimeout ends a call whose peer is silent for so long (30 s).
	MethodTimeout time.Duration
	// Router takes the frames that the client does not decode; may be nil.
	Router Router
	// OnState is told of each connect (after all services are registered) and each loss with its cause. It must not block.
	OnState func(connected bool, err error)
	Limits  Limits
}

// Info describes the current connection.
type Info struct {
	Workspace, ClientID string
	// ManagerID changes when the server restarts.
	ManagerID string
	// PublicBaseURL is where the server says that it is reached, without trailing slash.
	PublicBaseURL string
	ServerVersion string
	User          User
}

// Address is "ws/client", which peers call.
func (i Info) Address() string { return i.Workspace + "/" + i.ClientID }

var errPending = errors.New("hypha: being built")
