package bed

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is the systems that the tests of one package share. Each is started by the first test that asks for it and stopped
// after the last one:
//
//	var systems bed.Shared
//
//	func TestMain(m *testing.M) { os.Exit(systems.Main(m)) }
//
// A test leaves them as it found them: its jobs cancelled (Cluster.WaitIdle), its hosts on. One that crashes the server or
// needs other settings starts its own. The zero value is ready.
type Shared struct {
	mu      sync.Mutex
	cluster shared[*Cluster]
	hypha   shared[*Hypha] // on this machine alone
	reached shared[*Hypha] // reached from the cluster's login host too
}

// shared is one system, or why it could not be started: the tests after the first need not wait to hear it again.
type shared[T interface{ Stop() error }] struct {
	system  T
	err     error
	started bool
}

func (s *shared[T]) get(t testing.TB, start func() (T, error)) T {
	t.Helper()
	if !s.started {
		s.system, s.err = start()
		s.started = true
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.system
}

func (s *shared[T]) stop() error {
	if !s.started || s.err != nil {
		return nil
	}
	return s.system.Stop()
}

// Main runs the tests, stops what they started and returns the exit code. What cannot be stopped fails the run.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.hypha.stop(), s.reached.stop(), s.cluster.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Cluster is the shared cluster of 3 compute hosts.
func (s *Shared) Cluster(t testing.TB) *Cluster {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startCluster(t)
}

func (s *Shared) startCluster(t testing.TB) *Cluster {
	t.Helper()
	return s.cluster.get(t, func() (*Cluster, error) { return StartCluster(t.Context(), ClusterConfig{}) })
}

// Hypha is the shared Hypha server on 127.0.0.1. It needs no cluster and no root.
func (s *Shared) Hypha(t testing.TB) *Hypha {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hypha.get(t, func() (*Hypha, error) { return StartHypha(t.Context(), HyphaConfig{}) })
}

// ClusterHypha is the shared Hypha server, with its S3, that this machine and the login host of the shared cluster reach under
// the same address.
func (s *Shared) ClusterHypha(t testing.TB) *Hypha {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.startCluster(t)
	return s.reached.get(t, func() (*Hypha, error) { return StartHypha(t.Context(), HyphaConfig{Host: c.OuterIP()}) })
}
