package manifest

// Application is one application as its author describes it.
type Application struct {
	ID, Name, Description string
	IDEmoji               string
	Type                  string // always "ray-serve"
	Version               string // as written; "" when absent

	// AuthorizedUsers is the list form; ["*"] when the manifest has none and the
	// rules allow that. AuthorizedByMethod is the map form, method or "*" to
	// users; exactly one of the two is set.
	AuthorizedUsers    []string
	AuthorizedByMethod map[string][]string

	Deployments []Deployment   // the first is the entry
	Slurm       *Slurm         // nil when the manifest has no such block
	Raw         map[string]any // the whole manifest, unknown fields kept
}

// Entry is the deployment whose methods the application's service offers.
func (a *Application) Entry() *Deployment { return &a.Deployments[0] }

// Deployment returns the deployment of a class name, or nil.
func (a *Application) Deployment(class string) *Deployment {
	for i := range a.Deployments {
		if a.Deployments[i].Class == class {
			return &a.Deployments[i]
		}
	}
	return nil
}

// Deployment is one entry "file:Class" of the manifest. ParseManifest knows
// names and the manifest's place; Reader.Read adds what the file says.
type Deployment struct {
	File  string // "main" of main.py, with "/" for folders
	Class string

	Options      Options
	InitParams   []Param  // of __init__, without self
	InitKnown    bool     // false when class or bases hide the signature
	Methods      []string // decorated with schema_method, alphabetical as contract 3.1
	MethodsKnown bool     // false when there may be more
	Place        Place    // of the class; of the entry in the manifest before the file was read
}

// FileName is the name of the deployment's file within the application.
func (d *Deployment) FileName() string { return d.File + ".py" }

// ParamKind is the way a parameter takes its argument.
type ParamKind string

const (
	ParamPositional     ParamKind = "positional" // by position or name
	ParamPositionalOnly ParamKind = "positional_only"
	ParamKeywordOnly    ParamKind = "keyword_only"
	ParamVarPositional  ParamKind = "var_positional" // *args
	ParamVarKeyword     ParamKind = "var_keyword"    // **kwargs
)

// Param is one parameter of a constructor.
type Param struct {
	Name       string    `json:"name"`
	Kind       ParamKind `json:"kind"`
	HasDefault bool      `json:"has_default,omitempty"`
	Annotation string    `json:"annotation,omitempty"` // its text, without the quotes of a string
	Quoted     bool      `json:"quoted,omitempty"`     // a string or postponed annotation
	// Type is what the annotation stands for: "str", "list" (of list[int]),
	// "DeploymentHandle", a dotted name, or "" when it is not known.
	Type  string `json:"type,omitempty"`
	Place Place  `json:"place"`
}

// IsHandle reports whether the parameter is annotated as a DeploymentHandle.
func (p Param) IsHandle() bool { return p.Type == typeHandle }

// named reports whether an argument can be given to the parameter by its name.
func (p Param) named() bool { return p.Kind == ParamPositional || p.Kind == ParamKeywordOnly }
