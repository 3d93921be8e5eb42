package jobs

import (
	"encoding/json"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// Application is all that is needed to run one application. It is a value:
// the manager never changes one that it was given.
type Application struct {
	ID          string
	Revision    int64 // set by Deploy, grows with every update of the same ID
	Deployments []Deployment
	Files       map[string][]byte // deployment sources by relative path
	Hypha       json.RawMessage   // handed to the entry's runtime as it is (link.Assign.Hypha)
	DisableGPU  bool
	Slurm       *manifest.Slurm // the manifest's slurm block, nil without one
	Record      json.RawMessage // the worker's own record, stored in the same transaction
	Secrets     json.RawMessage // the worker's own secrets, stored apart with those of the deployments
	Removing    bool            // set by Applications: its removal has begun
}

// Deployment is one class of an application. The first of an application is
// its entry, the only one that Hypha clients reach.
type Deployment struct {
	Name    string // unique in the application; the class name
	File    string // "main" of the entry "main:Main"
	Class   string
	Options manifest.Options
	Kwargs  []byte // msgpack map of constructor keywords
	Env     map[string]string
	Secrets map[string]string // names without the leading underscore
	Handles []link.HandleRef
}
