package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Rules are what differs between the ways an application comes in.
type Rules struct {
	// RequireAuthorizedUsers refuses manifests without authorized_users, as the
	// methods the guide names do; otherwise absence means ["*"] (contract 2.2).
	RequireAuthorizedUsers bool
	// Artifact is the artifact's id for the texts that name it; "" on upload.
	Artifact string
}

// requiredFields is the order in which a missing field is reported.
var requiredFields = []string{"name", "id", "id_emoji", "description", "type", "deployments", "authorized_users"}

const (
	textMissingField    = "Manifest is missing required field: '%s'"
	textType            = "Application type must be 'ray-serve'. Invalid manifest type: '%s'. Expected 'ray-serve'."
	textDeployments     = "Invalid deployments format in manifest. Expected a non-empty list of deployment descriptions in the format 'python_file:class_name'."
	textAuthorizedUsers = "Invalid authorized_users format in manifest. Expected a non-empty list of user IDs or '*' for all users."
	textAlias           = "Invalid artifact alias: '%s'. Please use lowercase letters, numbers, and hyphens only."
)

var alias = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// ParseManifest reads the text of a manifest; file is its name in errors. It
// looks at no other file: options, signatures and methods stay unknown. The
// error is an *Error or, for several wrong fields, Errors.
func ParseManifest(data []byte, file string, rules Rules) (*Application, error) {
	d := &document{file: file, left: maxYAMLValues}
	top, err := d.parseYAML(data)
	if err != nil {
		return nil, err
	}
	raw, err := d.value(top, 0)
	if err != nil {
		return nil, err
	}
	fields, err := d.fields(top, 0)
	if err != nil {
		return nil, err
	}
	p := &parser{document: d, fields: map[string]field{}}
	for _, f := range fields {
		p.fields[f.name] = f
	}
	if missing := p.missing(rules); missing != nil {
		return nil, missing
	}
	app := &Application{Raw: raw.(map[string]any)}
	p.read(app)
	if err := p.problems.err(); err != nil {
		return nil, err
	}
	return app, nil
}

// parser reads the fields of one manifest and collects what is wrong.
type parser struct {
	*document
	fields   map[string]field
	problems Errors
}

// missing returns the contract's error for the first required field that is
// absent; the hint names the others.
func (p *parser) missing(rules Rules) error {
	var names []string
	for _, name := range requiredFields {
		if _, ok := p.fields[name]; !ok && (name != "authorized_users" || rules.RequireAuthorizedUsers) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	problem := &Error{Code: CodeFieldMissing, Message: fmt.Sprintf(textMissingField, names[0]), Place: Place{File: p.file}}
	if len(names) > 1 {
		problem.Hint = "Also missing: " + strings.Join(names[1:], ", ") + "."
	}
	return problem
}

// read fills the application in the order of the contract's checks.
func (p *parser) read(app *Application) {
	p.readType(app)
	app.Deployments = p.readDeployments()
	p.readAuthorizedUsers(app)
	app.ID = p.readID()
	app.Name = p.text("name")
	app.Description = p.text("description")
	app.IDEmoji = p.text("id_emoji")
	app.Version = p.readVersion()
	app.Slurm = p.readSlurm(app)
}

func (p *parser) readType(app *Application) {
	n := p.node("type")
	app.Type = n.Value
	if n.Kind == yaml.ScalarNode && n.Value == "ray-serve" {
		return
	}
	shown := n.Value
	if n.Kind != yaml.ScalarNode {
		shown = describeNode(n)
	}
	p.problems.add(CodeApplicationType, p.place(n), textType, clip(shown))
}

func (p *parser) readID() string {
	n := p.node("id")
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" && alias.MatchString(n.Value) {
		return n.Value
	}
	shown := n.Value
	if n.Kind != yaml.ScalarNode {
		shown = describeNode(n)
	}
	p.problems.add(CodeAlias, p.place(n), textAlias, clip(shown))
	return ""
}

// readVersion accepts a number too: `version: 1.0` is a common way to write it.
func (p *parser) readVersion() string {
	f, ok := p.fields["version"]
	if !ok {
		return ""
	}
	n := resolveAlias(f.value)
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!bool":
		p.wrongType("version", "a text", n)
	case n.ShortTag() == "!!null":
		return ""
	}
	return n.Value
}

// node returns the value of a field that is known to be there.
func (p *parser) node(name string) *yaml.Node { return resolveAlias(p.fields[name].value) }

func (p *parser) text(name string) string {
	n := p.node(name)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp" {
		p.wrongType(name, "a text", n)
		return ""
	}
	return n.Value
}

func (p *parser) wrongType(name, want string, n *yaml.Node) {
	problem := p.problems.add(CodeFieldType, p.place(n), "Field '%s' of the manifest must be %s, but is %s.", name, want, describeNode(n))
	if want == "a text" && n.Kind == yaml.ScalarNode && n.Value != "" {
		problem.Hint = "Put it in quotes."
	}
}

// readAuthorizedUsers reads the list form, H's map form (contract 2.2), and a
// bare "*".
func (p *parser) readAuthorizedUsers(app *Application) {
	f, ok := p.fields["authorized_users"]
	if !ok {
		app.AuthorizedUsers = []string{"*"}
		return
	}
	n := resolveAlias(f.value)
	if n.Kind == yaml.MappingNode {
		app.AuthorizedByMethod = p.readUsersByMethod(n)
		return
	}
	app.AuthorizedUsers = p.readUsers(n, false)
}

func (p *parser) readUsersByMethod(n *yaml.Node) map[string][]string {
	methods, err := p.document.fields(n, 0)
	if err != nil {
		p.problems.merge(err)
		return nil
	}
	if len(methods) == 0 {
		p.problems.add(CodeAuthorizedUsers, p.place(n), textAuthorizedUsers)
	}
	out := make(map[string][]string, len(methods))
	for _, f := range methods {
		// An empty list of one method falls back to "*" (contract 4, map rule).
		out[f.name] = p.readUsers(resolveAlias(f.value), true)
	}
	return out
}

func (p *parser) readUsers(n *yaml.Node, mayBeEmpty bool) []string {
	if n.Kind == yaml.ScalarNode && n.Value == "*" {
		return []string{"*"}
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 && !mayBeEmpty {
		p.problems.add(CodeAuthorizedUsers, p.place(n), textAuthorizedUsers)
		return nil
	}
	users := []string{}
	for _, item := range n.Content {
		item = resolveAlias(item)
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" || item.Value == "" {
			problem := p.problems.add(CodeAuthorizedUsers, p.place(item), textAuthorizedUsers)
			problem.Hint = "A user is a text: an id, an e-mail address or \"*\"."
			continue
		}
		if !slices.Contains(users, item.Value) {
			users = append(users, item.Value)
		}
	}
	return users
}
