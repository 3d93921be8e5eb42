package manifest

import (
	"slices"
	"strings"
)

const (
	textNoSchemaMethods = "No schema methods found in the entry deployment class: %s."
	textHandleMissing   = "Parameter '%s' not found in entry deployment '%s' init method. Available parameters: %s"
	textHandleType      = "Parameter '%s' must be of type DeploymentHandle, but got %s."
)

// checkComposition makes the checks that need all deployments: handles of the
// entry (contract 3.4) and its methods (3.1). Only what is certain is refused.
func (a *Application) checkComposition() error {
	var problems Errors
	entry := a.Entry()
	if entry.MethodsKnown && len(entry.Methods) == 0 {
		problem := problems.add(CodeNoSchemaMethods, entry.Place, textNoSchemaMethods, entry.Class)
		problem.Hint = "Write @schema_method above each method that clients may call."
	}
	a.checkHandles(&problems)
	return problems.err()
}

func (a *Application) checkHandles(problems *Errors) {
	entry := a.Entry()
	for i := range a.Deployments[1:] {
		if entry.InitKnown {
			entry.checkHandle(&a.Deployments[1+i], problems)
		}
	}
	for i := range a.Deployments {
		d := &a.Deployments[i]
		for _, p := range d.InitParams {
			if p.IsHandle() && !p.HasDefault && p.named() && !(i == 0 && a.hasSub(p.Name)) {
				d.refuseHandle(p, i == 0, problems)
			}
		}
	}
}

// hasSub reports whether a sub-deployment's file has the name.
func (a *Application) hasSub(name string) bool {
	return slices.ContainsFunc(a.Deployments[1:], func(d Deployment) bool { return d.File == name })
}

// checkHandle checks that the entry takes a handle under the name of the file.
func (d *Deployment) checkHandle(sub *Deployment, problems *Errors) {
	at := slices.IndexFunc(d.InitParams, func(p Param) bool { return p.Name == sub.File && p.named() })
	if at < 0 {
		problem := problems.add(CodeHandle, d.Place, textHandleMissing, sub.File, d.Class, pythonList(d.paramNames()))
		problem.Hint = "The parameter's name is the file part of '" + sub.File + ":" + sub.Class + "'."
		if strings.Contains(sub.File, "/") {
			problem.Hint = "A parameter cannot have a name with '/': move " + sub.FileName() + " to the top of the application's folder."
		}
		return
	}
	p := d.InitParams[at]
	if got := p.Annotation; !p.maybeHandle() {
		if got == "" {
			got = "unknown"
		}
		problem := problems.add(CodeHandle, p.Place, textHandleType, p.Name, got)
		problem.Hint = "Write '" + p.Name + ": DeploymentHandle' (from ray.serve.handle import DeploymentHandle)."
	}
}

// maybeHandle is false when the annotation certainly is no DeploymentHandle: a
// name imported from elsewhere may be one, the runtime finds out.
func (p Param) maybeHandle() bool {
	switch {
	case p.Annotation == "":
		return false
	case p.IsHandle(), strings.Contains(p.Annotation, typeHandle):
		return true
	}
	return p.Type == "" || strings.Contains(p.Type, ".")
}

// refuseHandle reports a handle that nobody passes: the constructor would fail.
func (d *Deployment) refuseHandle(p Param, entry bool, problems *Errors) {
	if !entry {
		problems.add(CodeHandle, p.Place, "Parameter '%s' of deployment '%s' is a DeploymentHandle, but only the entry deployment receives handles.", p.Name, d.Class)
		return
	}
	problem := problems.add(CodeHandle, p.Place, "Parameter '%s' of entry deployment '%s' is a DeploymentHandle, but the manifest lists no sub-deployment from a file of that name.", p.Name, d.Class)
	problem.Hint = "Add '" + p.Name + ":<Class>' to 'deployments'."
}

// paramNames are the parameters an argument can be given to by name.
func (d *Deployment) paramNames() []string {
	var names []string
	for _, p := range d.InitParams {
		if p.named() {
			names = append(names, p.Name)
		}
	}
	return names
}
