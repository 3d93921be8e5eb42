package link

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"
)

// Limits of a Server; zero values mean the defaults.
type Limits struct {
	Connections int // links at a time; more are refused with CodeBusy. Default 4096
	Handshakes  int // connections that are not links yet; more wait in the listener. Default 256
	Timing      Timing
}

func (l Limits) withDefaults() Limits {
	if l.Connections == 0 {
		l.Connections = 4096
	}
	if l.Handshakes == 0 {
		l.Handshakes = 256
	}
	return l
}

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Certificate tls.Certificate // see LoadOrCreateKey
	Gate        Gate
	// Accept owns the connection, on a goroutine of its own: it calls Hello, Welcome and Run. When it returns the
	// connection is closed. ctx ends with Serve.
	Accept func(ctx context.Context, c *Conn)
	Log    *zap.Logger
	Limits Limits
}

// Server is the controller's end: it takes connections in, asks the Gate, and hands links out.
type Server struct {
	config   ServerConfig
	buffers  bufferPool
	failures *limiter
	upgrader websocket.Upgrader

	links atomic.Int64
	conns sync.WaitGroup

	mu     sync.Mutex // guards the following field
	closed bool       // no link is begun any more: Serve waits for those that are
}

// NewServer returns a Server; Certificate, Gate, Accept and Log must be set.
func NewServer(config ServerConfig) *Server {
	config.Limits = config.Limits.withDefaults()
	s := &Server{config: config, failures: newLimiter()}
	s.upgrader = websocket.Upgrader{
		ReadBufferSize:  readBuffer,
		WriteBufferSize: writeBuffer,
		WriteBufferPool: &s.buffers.socket,
	}
	return s
}

// Serve takes connections from l until ctx ends (nil) or l fails. When it returns, all links have been closed and all
// Accept functions have returned. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.conns.Wait()
	defer s.shut()
	defer cancel()
	pending := newPendingListener(l, s.config.Limits.Handshakes)
	web := &http.Server{
		Handler:           s.handler(ctx),
		ReadHeaderTimeout: upgradeTime / 2, // of TLS too
		MaxHeaderBytes:    16 << 10,
		ConnState:         pending.state,
		ErrorLog:          zap.NewStdLog(s.config.Log.Named("http").WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}
	web.SetKeepAlivesEnabled(false)
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	defer web.Close()
	err := web.Serve(tls.NewListener(pending, &tls.Config{
		Certificates:                []tls.Certificate{s.config.Certificate},
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{"http/1.1"},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}))
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve links: %w", err)
}

func (s *Server) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+linkPath, func(w http.ResponseWriter, r *http.Request) { s.join(ctx, w, r) })
	return mux
}

// join asks the Gate, upgrades, and starts the link's goroutine; ctx is the server's.
func (s *Server) join(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	id := Identity{
		Allocation: r.Header.Get(headerAllocation),
		Token:      r.Header.Get(headerToken),
		Key:        r.Header.Get(headerKey),
	}
	if err := s.admit(r.Context(), id, r.RemoteAddr); err != nil {
		s.refuse(w, r, id, err)
		return
	}
	if s.links.Add(1) > int64(s.config.Limits.Connections) {
		s.links.Add(-1)
		s.refuse(w, r, id, &Refusal{CodeBusy, "the controller has too many agents connected"})
		return
	}
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.links.Add(-1)
		s.config.Log.Info("agent did not upgrade", zap.String("remote", r.RemoteAddr), zap.Error(err))
		return
	}
	if !s.begin(func() { s.accept(ctx, ws, id.Allocation) }) {
		ws.Close()
	}
}

// begin starts a link's goroutine, unless Serve is about to return.
func (s *Server) begin(link func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.links.Add(-1)
		return false
	}
	s.conns.Go(func() {
		defer s.links.Add(-1)
		link()
	})
	return true
}

func (s *Server) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *Server) admit(ctx context.Context, id Identity, remote string) error {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if s.failures.blocked(host) {
		return &Refusal{CodeRateLimited, "too many failed joins from " + host + ", try again in a minute"}
	}
	err = s.config.Gate.Admit(ctx, id, remote)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.failedJoin() {
		s.failures.failed(host)
	}
	return err
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, id Identity, err error) {
	log := s.config.Log.With(zap.String("allocation", id.Allocation), zap.String("remote", r.RemoteAddr))
	var refusal *Refusal
	if errors.As(err, &refusal) {
		log.Warn("agent refused", zap.String("code", refusal.Code), zap.String("message", refusal.Message))
	} else {
		log.Error("agent could not be admitted", zap.Error(err))
		refusal = &Refusal{CodeNotReady, "the controller cannot admit agents now"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusal.status())
	_ = json.NewEncoder(w).Encode(refusal) // an agent that hangs up before it has read the reason dials again
}

func (s *Server) accept(ctx context.Context, ws *websocket.Conn, allocation string) {
	conn, err := newConn(ws, false, allocation, s.config.Limits.Timing, &s.buffers, s.config.Log)
	if err != nil {
		s.config.Log.Error("link not started", zap.String("allocation", allocation), zap.Error(err))
		return
	}
	stop := context.AfterFunc(ctx, func() { conn.Close("the controller stops") })
	defer stop()
	defer conn.Close("done")
	s.config.Accept(ctx, conn)
}

// pendingListener bounds the connections that have not become links: Accept waits while there are too many.
// Each of them ends by itself, since http.Server limits the time of its TLS and header.
type pendingListener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	close func() error
}

func newPendingListener(l net.Listener, limit int) *pendingListener {
	p := &pendingListener{Listener: l, slots: make(chan struct{}, limit), done: make(chan struct{})}
	p.close = sync.OnceValue(func() error {
		close(p.done)
		return l.Close()
	})
	return p
}

func (p *pendingListener) Accept() (net.Conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.done:
		return nil, net.ErrClosed
	}
	c, err := p.Listener.Accept()
	if err != nil {
		<-p.slots
	}
	return c, err
}

func (p *pendingListener) Close() error { return p.close() }

// state is http.Server's ConnState hook: a connection leaves when it is hijacked or closed.
func (p *pendingListener) state(_ net.Conn, state http.ConnState) {
	if state == http.StateHijacked || state == http.StateClosed {
		<-p.slots
	}
}
