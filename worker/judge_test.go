package worker

import (
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

func TestApplicationStatus(t *testing.T) {
	deployments := func(words ...string) jobs.Status {
		var s jobs.Status
		for _, word := range words {
			name, ran, _ := strings.Cut(word, "+")
			s.Deployments = append(s.Deployments, jobs.DeploymentStatus{Name: "D" + name, Status: name, EverRan: ran == "ran", Message: "why " + name})
		}
		return s
	}
	for _, c := range []struct {
		name          string
		view          view
		word, message string
	}{
		{"lost", view{}, "UNHEALTHY", "Application 'app' is marked as deployed but not found in Ray Serve status."},
		{"accepted", view{known: true}, "NOT_STARTED", "Application 'app' has not been deployed yet."},
		{"deleting wins", view{known: true, Deleting: true, jobs: deployments("DEPLOY_FAILED")}, "DELETING", "Application 'app' is being stopped."},
		{"failed wins over unhealthy", view{known: true, jobs: deployments("UNHEALTHY+ran", "DEPLOY_FAILED")}, "DEPLOY_FAILED", "The deployments ['DDEPLOY_FAILED'] are DEPLOY_FAILED.\nDDEPLOY_FAILED: why DEPLOY_FAILED"},
		{"unhealthy after running", view{known: true, jobs: deployments("HEALTHY+ran", "UNHEALTHY+ran")}, "UNHEALTHY", "The deployments ['DUNHEALTHY'] are UNHEALTHY.\nDUNHEALTHY: why UNHEALTHY"},
		{"unhealthy before all ran", view{known: true, jobs: deployments("UPDATING", "UNHEALTHY+ran")}, "DEPLOY_FAILED", "The deployments ['DUNHEALTHY'] are UNHEALTHY.\nDUNHEALTHY: why UNHEALTHY"},
		{"on its way", view{known: true, jobs: deployments("HEALTHY+ran", "UPDATING")}, "DEPLOYING", "DUPDATING: why UPDATING"},
		{"healthy but not registered", view{known: true, jobs: deployments("HEALTHY+ran")}, "DEPLOYING", "The application's service is being registered."},
		{"healthy but cannot register", view{known: true, problem: "refused", jobs: deployments("HEALTHY+ran")}, "DEPLOYING", "The application's service is not registered yet: refused."},
		{"healthy but cut off", view{known: true, service: "s", problem: "lost", jobs: deployments("HEALTHY+ran")}, "UNHEALTHY", "The application's connection to Hypha is interrupted: lost."},
		{"runs", view{known: true, service: "s", connected: true, jobs: deployments("HEALTHY+ran")}, "RUNNING", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.view.id = "app"
			word, message := c.view.judge()
			if word != c.word || message != c.message {
				t.Errorf("%s: %q", word, message)
			}
			if filled := c.view.serviceIDs()["websocket_service_id"] != nil; word == "RUNNING" && !filled {
				t.Error("it runs without service ids")
			}
		})
	}
	t.Run("an ended deployment repeats what the author was warned of", func(t *testing.T) {
		v := view{known: true, jobs: deployments("DEPLOY_FAILED")}
		v.record.Warnings = []string{"torch must be in the image"}
		if _, message := v.judge(); !strings.HasSuffix(message, "\nNote: torch must be in the image") {
			t.Errorf("%q", message)
		}
	})
}
