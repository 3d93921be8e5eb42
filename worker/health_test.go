package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

type answer struct {
	value any
	err   error
}

// within waits for an answer, for less long than callers wait for a replica.
func within(t *testing.T, answers <-chan answer) answer {
	t.Helper()
	select {
	case got := <-answers:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("a caller waits in vain")
		return answer{}
	}
}

// TestUnhealthy holds what callers hear who wait for a replica. New callers do
// not find the service then.
func TestUnhealthy(t *testing.T) {
	s := newSite(t)
	client := s.client(t, s.token)
	worker := s.service(t, client, "bioengine-worker")
	save(t, worker, demoManifest, demoSource)
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "app"})
	awaitStatus(t, worker, "app", "RUNNING")
	app := s.service(t, client, "app")
	ask := func() <-chan answer {
		answers := make(chan answer, 1)
		go func() {
			value, err := app.Call(t.Context(), "echo", "x")
			answers <- answer{value, err}
		}()
		return answers
	}
	waits := func(t *testing.T, answers <-chan answer) {
		t.Helper()
		select {
		case got := <-answers:
			t.Fatalf("answered without a replica: %v, %v", got.value, got.err)
		case <-time.After(2 * healthPeriod):
		}
	}
	for _, word := range []string{"DEPLOY_FAILED", "UNHEALTHY"} {
		t.Run("nobody waits while it is "+word, func(t *testing.T) {
			s.cluster.cut("app")
			waiting := ask()
			s.cluster.fall("app", word)
			waits(t, waiting) // the link may come back
			s.cluster.start("app", false)
			waits(t, waiting) // a replica is starting
			s.cluster.fall("app", word)
			want := "RuntimeError: Application 'app' is " + word + ": The deployments ['Main'] are " + word + ". get_application_status says why."
			if got := within(t, waiting); !holds(got.err, want) {
				t.Errorf("%v, %v", got.value, got.err)
			}
			s.cluster.start("app", true)
			awaitStatus(t, worker, "app", "RUNNING")
		})
	}
	t.Run("callers wait again once it was ready", func(t *testing.T) {
		s.cluster.cut("app")
		waiting := ask()
		waits(t, waiting)
		s.cluster.start("app", true)
		if got := within(t, waiting); got.value != "x" {
			t.Errorf("%v, %v", got.value, got.err)
		}
	})
	t.Run("nobody waits while it is being stopped", func(t *testing.T) {
		s.cluster.cut("app")
		waiting := ask()
		waits(t, waiting)
		call(t, worker, "stop_application", "app")
		if got := within(t, waiting); !holds(got.err, "RuntimeError: Application 'app' is being stopped.") {
			t.Errorf("%v, %v", got.value, got.err)
		}
	})
}

func holds(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}
