package hypha

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
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
	// Token is called before each connect that needs one, so that it can read a renewed file; nil connects anonymously.
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

// Info describes the latest connection.
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

// Client is a connection to a Hypha server that restores itself until Close.
type Client struct {
	config Config
	limits Limits
	timing timing
	log    *zap.Logger
	url    string

	ctx    context.Context // ends with the client
	cancel context.CancelCauseFunc
	done   chan struct{}
	wait   sync.WaitGroup // everything but the connections' own goroutines

	stats    counters
	sessions *sessions
	chunks   *chunkStore
	registry *registry
	running  *running
	decoding *semaphore.Weighted // bytes of arguments of own services being decoded and handled
	uploads  *semaphore.Weighted // chunked messages being sent

	mu      sync.Mutex // guards the following fields
	ready   *connection
	changed chan struct{} // closed and replaced when ready changes
	info    Info
	token   string // reconnection token
}

// Connect opens the first connection. A failure to do so is a *ConnectError, which says whether another try can help.
// Afterwards the client reconnects by itself, with back-off, and registers its services again, until Close. ctx bounds
// the first connect only.
func Connect(ctx context.Context, config Config) (*Client, error) {
	return connect(ctx, config, defaultTiming)
}

func connect(ctx context.Context, config Config, timing timing) (*Client, error) {
	url, err := socketURL(config.ServerURL)
	if err != nil {
		return nil, err
	}
	c := newClient(config, timing, url)
	conn, err := c.open(ctx)
	if err == nil {
		err = c.adopt(ctx, conn)
	}
	if err != nil {
		c.cancel(err)
		c.wait.Wait()
		return nil, err
	}
	c.wait.Go(c.sweep)
	go c.run(conn) // closes done, which Close waits for
	return c, nil
}

func newClient(config Config, timing timing, url string) *Client {
	setDefault(&config.MethodTimeout, 30*time.Second)
	if config.ClientID == "" {
		config.ClientID = rand.Text()[:22]
	}
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	limits := config.Limits.withDefaults()
	c := &Client{
		config: config, limits: limits, timing: timing, url: url,
		log:  config.Logger.With(zap.String("client", config.ClientID)),
		done: make(chan struct{}), changed: make(chan struct{}),
		sessions: newSessions(), chunks: newChunkStore(limits), registry: newRegistry(), running: newRunning(),
		decoding: semaphore.NewWeighted(limits.MaxMessageBytes), uploads: semaphore.NewWeighted(maxUploads),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// Close ends the client: open calls fail with ErrClosed, handlers are cancelled and waited for. A handler must not
// call it.
func (c *Client) Close() error {
	c.cancel(ErrClosed)
	<-c.done
	return nil
}

// Done is closed when the client has ended for good, by Close or because the server blocked it; Err tells which.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil until the client ends.
func (c *Client) Err() error { return context.Cause(c.ctx) }

// Info describes the latest connection.
func (c *Client) Info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// Address is "ws/client".
func (c *Client) Address() string { return c.Info().Address() }

// keepToken remembers the newest reconnection token.
func (c *Client) keepToken(token string) {
	if token == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// setReady publishes the connection for calls, or nil that there is none.
func (c *Client) setReady(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = conn
	close(c.changed)
	c.changed = make(chan struct{})
}

// live is the connection that calls may use now, or nil, and a channel that is closed when that changes.
func (c *Client) live() (*connection, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready, c.changed
}

// connection waits for a connection whose services are registered.
func (c *Client) connection(ctx context.Context) (*connection, error) {
	for {
		conn, changed := c.live()
		if conn != nil && !conn.isDown() {
			return conn, nil
		}
		select {
		case <-changed: // a connection that is down is about to be withdrawn
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNotConnected, ctx.Err())
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
}

// sweep frees what nobody used for long.
func (c *Client) sweep() {
	ticker := time.NewTicker(c.timing.sweep)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case now := <-ticker.C:
			c.chunks.sweep(now)
			c.sessions.sweep(now.Add(-c.timing.callbackTTL))
		}
	}
}
