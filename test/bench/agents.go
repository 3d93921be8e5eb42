package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the driver of queryState

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

var replicas = regexp.MustCompile(`num_replicas=\d+`)

// agents are the agents of the crowd: one link each, as jobs/agent keeps it.
type agents struct {
	*stage
	ready    *link.Ready
	endpoint link.Endpoint

	running sync.WaitGroup
	mu      sync.Mutex // guards the following field
	conns   []*link.Conn
}

// join dials as the agent of every allocation of the crowd as soon as the
// controller has written its token, until n have joined.
func (a *agents) join(ctx context.Context, n int) error {
	endpoint, err := link.ReadEndpoint(filepath.Join(a.stateDir(), "endpoint"))
	if err != nil {
		return err
	}
	if a.endpoint, err = a.reachable(endpoint); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(joining)
	seen := map[string]bool{}
	for len(seen) < n && ctx.Err() == nil {
		waiting, err := filepath.Glob(filepath.Join(a.stateDir(), "allocations", "*", "token"))
		if err != nil {
			return err
		}
		for _, token := range waiting {
			if info, err := os.Stat(token); seen[token] || err != nil || info.Size() == 0 {
				continue
			}
			seen[token] = true
			g.Go(func() error { return a.joinOne(ctx, token) })
			if len(seen)%250 == 0 {
				a.say("%s: %d agents", a.found.Name, len(seen))
			}
		}
		time.Sleep(50 * time.Millisecond) // the controller tells nobody of a new token
	}
	return g.Wait()
}

// reachable replaces the host name, which only the cluster knows.
func (a *agents) reachable(e link.Endpoint) (link.Endpoint, error) {
	_, port, err := net.SplitHostPort(e.Addresses[0])
	e.Addresses = []string{net.JoinHostPort(a.Cluster.LoginIP(), port)}
	return e, err
}

// joinOne plays an agent up to the moment when its replica is ready and has
// printed a line; from then on the agent is silent.
func (a *agents) joinOne(ctx context.Context, tokenFile string) error {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	allocation := filepath.Base(filepath.Dir(tokenFile))
	conn, err := link.Dial(ctx, link.DialConfig{Endpoint: a.endpoint, Identity: link.Identity{Allocation: allocation, Token: string(token), Key: allocation}})
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	a.mu.Lock()
	a.conns = append(a.conns, conn)
	a.mu.Unlock()
	welcome, err := conn.Greet(ctx, link.Hello{Version: link.Version, Allocation: allocation, Agent: "bench"})
	if err != nil || len(welcome.Assign) != 1 {
		return fmt.Errorf("join: %d replicas assigned: %w", len(welcome.Assign), err)
	}
	a.running.Go(func() { _ = conn.Run(context.WithoutCancel(ctx), silent{}) }) // leave ends it
	tag := welcome.Assign[0].Tag
	log, err := conn.Open(ctx, link.Header{Kind: link.KindLog, Replica: tag})
	if err != nil {
		return err
	}
	defer log.Close() // as a quiet agent does
	if err := link.WriteLog(log, link.LogRecord{Stream: link.Stdout, Time: time.Now(), Text: "ready"}); err != nil {
		return err
	}
	return conn.Control(ctx, link.Control{Type: link.ControlEvent, Event: link.EventReady, Replica: tag, Ready: a.ready})
}

// lost counts the links that ended.
func (a *agents) lost() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		select {
		case <-c.Done():
			n++
		default:
		}
	}
	return n
}

// leave closes all links and waits for their ends.
func (a *agents) leave() {
	a.mu.Lock()
	for _, c := range a.conns {
		c.Close("the benchmark is over")
	}
	a.mu.Unlock()
	a.running.Wait()
}

// silent takes what the controller sends: nothing but its heartbeats.
type silent struct{}

func (silent) Control(link.Control)             {}
func (silent) Message(*link.Message)            {}
func (silent) Stream(link.Header, *link.Stream) {}

// queryState asks the controller's database for one value.
func queryState(ctx context.Context, stateDir, query string) (value []byte, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(stateDir, "state.sqlite")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return value, db.QueryRowContext(ctx, query).Scan(&value)
}
