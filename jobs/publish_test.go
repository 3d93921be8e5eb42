package jobs

import (
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

func TestDeploymentMessage(t *testing.T) {
	const cause = "the step init failed: ValueError: no weights"
	for _, c := range []struct {
		name            string
		d               deployment
		status, message string
	}{
		{"starting", deployment{}, "UPDATING", ""},
		{"failed once", deployment{tries: 1, message: cause}, "UPDATING", "A replica failed to start with exception. Retrying 2 more time(s). Error:\n" + cause},
		{
			"failed once of five times", deployment{tries: 1, message: cause, Deployment: Deployment{Options: manifest.Options{MaxConstructorRetryCount: constant(5)}}},
			"UPDATING", "A replica failed to start with exception. Retrying 4 more time(s). Error:\n" + cause,
		},
		{"failed for good", deployment{tries: 3, failed: true, message: cause}, "DEPLOY_FAILED", "The deployment failed to start 3 times in a row. Error:\n" + cause},
		{"lost its replica", deployment{tries: 1, everRan: true, message: cause}, "UNHEALTHY", cause},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.d
			d.Name, d.target = "Main", 1
			a := &application{}
			if d.message != "" { // the one that failed is on its way out
				r := &replica{app: a, dep: &d, phase: stopping, failure: cause}
				r.Deployment = d.Name
				a.replicas = []*replica{r}
			}
			if s := a.deploymentStatus(&d); s.Status != c.status || s.Message != c.message {
				t.Errorf("%s: %q", s.Status, s.Message)
			}
		})
	}
}
