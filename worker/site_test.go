package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

const demoManifest = `
id: demo
name: Demo
id_emoji: "🧪"
description: A test
type: ray-serve
authorized_users: ["*"]
deployments: ["main:Main"]
`

const demoSource = `
from hypha_rpc.utils.schema import schema_method
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 1})
class Main:
    def __init__(self, text: str = ""):
        pass

    @schema_method
    async def echo(self, value: str) -> str:
        return value
`

// site is a worker on a real Hypha server, with a cluster that plays along.
type site struct {
	hypha   *bed.Hypha
	cluster *cluster
	user    string
	token   string
	worker  *Worker
	stop    func()
}

// newSite starts a worker in a workspace of its own.
func newSite(t *testing.T) *site {
	s := &site{hypha: systems.Hypha(t), cluster: newCluster(), user: strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	s.token = must(s.hypha.Token(s.user))
	s.start(t)
	t.Cleanup(func() { s.stop() })
	return s
}

// start runs a worker on what the cluster holds, as a new controller does.
func (s *site) start(t *testing.T) {
	w, err := New(Config{
		Hypha: hypha.Config{
			ServerURL: s.hypha.URL, ClientID: "worker", MethodTimeout: time.Minute,
			Token: func(context.Context) (string, error) { return s.token, nil },
		},
		AppsDir: "/apps", Version: "test", RayVersion: "2.33.0", Log: zaptest.NewLogger(t),
	}, s.cluster, manifest.Reader{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.cluster.listen(w)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	s.worker = w
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the worker ended: %v", err)
		}
		s.stop = func() {}
	}
	eventually(t, "the worker is ready", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the worker ended: %v", err)
		default:
		}
		return w.ready.Load()
	})
}

// eventually waits for what another process or goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// client connects a user of the server.
func (s *site) client(t *testing.T, token string) *hypha.Client {
	t.Helper()
	c, err := hypha.Connect(t.Context(), hypha.Config{
		ServerURL: s.hypha.URL, MethodTimeout: time.Minute,
		Token: func(context.Context) (string, error) { return token, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// service gets a service of the worker's workspace.
func (s *site) service(t *testing.T, c *hypha.Client, id string) *hypha.RemoteService {
	t.Helper()
	service, err := c.GetService(t.Context(), "ws-user-"+s.user+"/"+id, hypha.GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func call(t *testing.T, s *hypha.RemoteService, method string, args ...any) any {
	t.Helper()
	value, err := s.Call(t.Context(), method, args...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return value
}

func refused(t *testing.T, s *hypha.RemoteService, text, method string, args ...any) {
	t.Helper()
	value, err := s.Call(t.Context(), method, args...)
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: expected %q, got %v, %v", method, text, value, err)
	}
}

func save(t *testing.T, worker *hypha.RemoteService, manifest, source string) string {
	t.Helper()
	id, _ := call(t, worker, "save_application", []any{item("manifest.yaml", manifest, "text"), item("main.py", source, "text")}).(string)
	return id
}

// status is the flat status of one application.
func status(t *testing.T, worker *hypha.RemoteService, id string) map[string]any {
	t.Helper()
	value, _ := call(t, worker, "get_application_status", []any{id}).(map[string]any)
	return value
}

func awaitStatus(t *testing.T, worker *hypha.RemoteService, id, want string) map[string]any {
	t.Helper()
	var last map[string]any
	eventually(t, id+" is "+want, func() bool {
		last = status(t, worker, id)
		return last["status"] == want
	})
	return last
}

// local writes an application where the development override looks for it.
func (s *site) local(t *testing.T, name, manifest, source string) {
	t.Helper()
	dir := filepath.Join(s.worker.cfg.LocalArtifacts, name)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(manifest), 0o600),
		os.WriteFile(filepath.Join(dir, "main.py"), []byte(source), 0o600)); err != nil {
		t.Fatal(err)
	}
}
