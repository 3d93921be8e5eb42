package hypha

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Client is a connection to a Hypha server that restores itself until Close.
type Client struct{}

// Connect opens the first connection. A failure is a *ConnectError, which says whether another try can help.
// Afterwards the client reconnects by itself, with back-off, and registers its services again, until Close.
func Connect(ctx context.Context, config Config) (*Client, error) { return nil, errPending }

// Close ends the client: open calls fail with ErrClosed, handlers are cancelled and waited for. A handler must not
// call it.
func (c *Client) Close() error { return errPending }

// Done is closed when the client has ended for good, by Close or because the server blocked it; Err tells which.
func (c *Client) Done() <-chan struct{} { return nil }

// Err is nil until Done is closed.
func (c *Client) Err() error { return errPending }

// Info describes the latest connection.
func (c *Client) Info() Info { return Info{} }

// Call calls a method of a peer and waits for its answer. target is "ws/client", method "services.<id>.<path>"; with target Manager a bare
// name such as "list_services". A Kwargs as last argument holds keyword arguments. ctx cancels the waiting (the peer is not told);
// without heartbeats the call ends with ErrTimeout after Config.MethodTimeout. An error of the peer is a *RemoteError.
func (c *Client) Call(ctx context.Context, target, method string, args ...any) (any, error) {
	return nil, errPending
}

// GetServiceOptions refine GetService; the zero value is right for most.
type GetServiceOptions struct {
	// Mode chooses among several (exact, random, first, last, min_load, native:random, select:…).
	Mode string
	// Timeout bounds the provider's answer (10 s).
	Timeout time.Duration
}

// GetService finds a service by any form of id (hypha-protocol 4.5).
func (c *Client) GetService(ctx context.Context, id string, options GetServiceOptions) (*RemoteService, error) {
	return nil, errPending
}

// RemoteService is a service of a peer. It is fetched anew by itself when its provider restarted.
type RemoteService struct {
	// ID is the full id.
	ID string
	// Fields is the whole description: config, name, type and members; functions are *Function.
	Fields map[string]any
}

// Call calls a member; dots lead into nested members.
func (s *RemoteService) Call(ctx context.Context, member string, args ...any) (any, error) {
	return nil, errPending
}

// Function is a function of a peer.
type Function struct{ ref map[string]any }

// Call calls the function and waits for its answer, as Client.Call does.
func (f *Function) Call(ctx context.Context, args ...any) (any, error) { return nil, errPending }

// Register offers a service and returns once the server lists it. It stays registered over reconnects. The same id again
// replaces the service.
func (c *Client) Register(ctx context.Context, s Service) error { return errPending }

// RegisterOpaque offers a service whose frames go to Config.Router, otherwise as Register.
func (c *Client) RegisterOpaque(ctx context.Context, s OpaqueService) error { return errPending }

// Unregister withdraws a service of either sort.
func (c *Client) Unregister(ctx context.Context, id string) error { return errPending }

// Send puts a frame on the wire; the server sets From. See Payload for what it reads. It returns when all is written, so its slowness is back-pressure; large ones go in chunks and
// keep the receiver's call (Header.Parent) alive meanwhile. While disconnected, answers (resolve, reject, heartbeat) fail with
// ErrNotConnected at once, other frames wait.
func (c *Client) Send(ctx context.Context, h Header, p Payload) error { return errPending }

// Resolve answers the call that came with header to; a call without session gets none.
func (c *Client) Resolve(ctx context.Context, to Header, value any) error { return errPending }

// Reject answers the call that came with header to with an error.
func (c *Client) Reject(ctx context.Context, to Header, err error) error { return errPending }

// Heartbeat keeps the caller waiting for the call that came with header to.
func (c *Client) Heartbeat(ctx context.Context, to Header) error { return errPending }

// PromiseInterval reads out of `extra`, without decoding arguments, how often the caller wants a heartbeat (0 = never) and
// whether it wants an answer at all. ok is false when that cannot be told: encrypted, malformed or too long.
func PromiseInterval(p *Payload) (interval time.Duration, promise, ok bool) { return 0, false, false }

// Stats are counters since Connect.
type Stats struct {
	FramesIn, FramesOut, BytesIn, BytesOut int64
	// DecodedCallBytes counts bytes of arguments that were decoded although they belonged to the Router (must stay 0).
	DecodedCallBytes int64
	// DroppedReplies counts answers that found the queue full; Reconnects and Refused speak for themselves.
	DroppedReplies, Reconnects, RefusedCalls int64
	// BufferedMemory and BufferedDisk are bytes of chunked messages held now.
	BufferedMemory, BufferedDisk int64
}

// Stats returns the counters.
func (c *Client) Stats() Stats { return Stats{} }

// TokenOptions say what a generated token may do; zero fields take the server's default.
type TokenOptions struct {
	Workspace  string
	Permission string // read, read_write, admin
	ClientID   string // usable only with this client id
	ExpiresIn  time.Duration
	Scopes     []string
}

// GenerateToken asks the manager for a token; it needs admin permission on the workspace.
func (c *Client) GenerateToken(ctx context.Context, o TokenOptions) (string, error) {
	return "", errPending
}

// Login asks a person to log in with a browser and returns the token.
func Login(ctx context.Context, config LoginConfig) (string, error) { return "", errPending }

// LoginConfig says where, and how the person gets to see the URL.
type LoginConfig struct {
	ServerURL string
	Workspace string
	ExpiresIn time.Duration
	// Show is given the URL to open.
	Show func(url string)
}

// Progress is told how many bytes of total have passed; it must not block.
type Progress func(done, total int64)

// PutFile uploads to a presigned URL.
func PutFile(ctx context.Context, client *http.Client, url string, body io.ReaderAt, size int64, p Progress) error {
	return errPending
}

// GetFile downloads a presigned URL into w.
func GetFile(ctx context.Context, client *http.Client, url string, w io.Writer, p Progress) error {
	return errPending
}

// Artifacts calls the artifact manager.
func (c *Client) Artifacts(ctx context.Context) (*Artifacts, error) { return nil, errPending }

// Artifacts is the server's artifact manager.
type Artifacts struct{ service *RemoteService }
