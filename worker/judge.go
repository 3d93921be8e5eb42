package worker

import (
	"fmt"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// view is what a status is made of, at one moment.
type view struct {
	state
	id                  string
	service             string // full id while registered
	problem             string // of the Hypha connection
	connected           bool
	Deleting, Recovered bool
	jobs                jobs.Status
	known               bool // jobs has the application
}

func (a *application) view() view {
	a.mu.Lock()
	defer a.mu.Unlock()
	return view{
		state: a.state, id: a.id, service: a.service, problem: a.problem, connected: a.connected,
		Deleting: a.deleting, Recovered: a.recovered,
	}
}

// judge derives the application's status and message (contract 5.1). RUNNING
// implies that the service is registered.
func (v view) judge() (word, message string) {
	switch {
	case v.Deleting:
		return "DELETING", deletingMessage(v.id)
	case !v.known:
		return "UNHEALTHY", fmt.Sprintf("Application '%s' is marked as deployed but not found in Ray Serve status.", v.id)
	case len(v.jobs.Deployments) == 0:
		return "NOT_STARTED", fmt.Sprintf("Application '%s' has not been deployed yet.", v.id)
	}
	if names := v.having("DEPLOY_FAILED"); names != nil {
		return "DEPLOY_FAILED", v.because(names, "DEPLOY_FAILED")
	}
	if names := v.having("UNHEALTHY"); names != nil {
		return v.unhealthy(), v.because(names, "UNHEALTHY")
	}
	if names := v.having("UPDATING"); names != nil {
		return "DEPLOYING", v.waiting(names)
	}
	return v.offered()
}

// offered judges an application all of whose deployments are healthy: it runs
// once callers can reach it.
func (v view) offered() (word, message string) {
	switch {
	case v.service != "" && v.connected:
		return "RUNNING", ""
	case v.service != "":
		return "UNHEALTHY", "The application's connection to Hypha is interrupted: " + orElse(v.problem, "reconnecting") + "."
	case v.problem != "":
		return "DEPLOYING", "The application's service is not registered yet: " + v.problem + "."
	}
	return "DEPLOYING", "The application's service is being registered."
}

// unhealthy is the word for an unhealthy deployment: an application that never
// ran as a whole has failed to deploy.
func (v view) unhealthy() string {
	for _, d := range v.jobs.Deployments {
		if !d.EverRan {
			return "DEPLOY_FAILED"
		}
	}
	return "UNHEALTHY"
}

func (v view) having(word string) []jobs.DeploymentStatus {
	var found []jobs.DeploymentStatus
	for _, d := range v.jobs.Deployments {
		if d.Status == word {
			found = append(found, d)
		}
	}
	return found
}

// because names the deployments and repeats why: the message is often all
// that is printed.
func (v view) because(of []jobs.DeploymentStatus, word string) string {
	names := make([]string, len(of))
	for i, d := range of {
		names[i] = d.Name
	}
	text := fmt.Sprintf("The deployments %s are %s.", quoteList(names), word)
	for _, d := range of {
		if d.Message != "" {
			text += fmt.Sprintf("\n%s: %s", d.Name, d.Message)
		}
	}
	for _, warning := range v.record.Warnings {
		text += "\nNote: " + warning
	}
	return text
}

// waiting is what is worth saying about deployments on their way; nothing as
// a rule.
func (v view) waiting(of []jobs.DeploymentStatus) string {
	var lines []string
	for _, d := range of {
		if d.Message != "" {
			lines = append(lines, d.Name+": "+d.Message)
		}
	}
	return strings.Join(lines, "\n")
}

// kwargs is what was passed, with the entry class always there.
func (v view) kwargs() map[string]any {
	shown := map[string]any{}
	if len(v.jobs.Deployments) > 0 {
		shown[v.jobs.Deployments[0].Name] = map[string]any{}
	}
	for class, values := range v.settings.kwargs {
		shown[class] = values
	}
	return shown
}

// methods are what the entry's replica offers; before one was ready, what was
// read of its source.
func (v view) methods() []string {
	if v.record.Published != nil && len(v.record.Published.Methods) > 0 {
		return v.record.Published.Methods
	}
	return list(v.record.Methods)
}

func (v view) serviceIDs() map[string]any {
	ids := map[string]any{"websocket_service_id": nil, "webrtc_service_id": nil}
	if v.service != "" && !v.Deleting {
		ids["websocket_service_id"] = v.service
	}
	return ids
}
