package manifest

import (
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// maxDeployments bounds the jobs and child processes one manifest can cause.
const maxDeployments = 64

const textImportPath = "Invalid import path format: %s. Expected format is 'filename:ClassName' (without .py extension)."

// readDeployments reads the list "file:Class"; the first is the entry.
func (p *parser) readDeployments() []Deployment {
	n := p.node("deployments")
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.problems.add(CodeDeployments, p.place(n), textDeployments)
		return nil
	}
	if len(n.Content) > maxDeployments {
		p.problems.add(CodeDeployments, p.place(n), "An application may have at most %d deployments, but the manifest lists %d.", maxDeployments, len(n.Content))
		return nil
	}
	var out []Deployment
	for _, item := range n.Content {
		item = resolveAlias(item)
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			p.problems.add(CodeDeployments, p.place(item), textDeployments)
			continue
		}
		file, class, ok := splitImportPath(item.Value)
		if !ok {
			problem := p.problems.add(CodeDeployments, p.place(item), textImportPath, clip(item.Value))
			problem.Hint = importHint(item.Value)
			continue
		}
		d := Deployment{File: file, Class: class, Place: p.place(item)}
		p.checkDistinct(out, d)
		out = append(out, d)
	}
	return out
}

// checkDistinct refuses what could not be told apart later: kwargs, variables
// and status go by class, handles by file.
func (p *parser) checkDistinct(before []Deployment, d Deployment) {
	for i, other := range before {
		name := d.File + ":" + d.Class
		switch {
		case other.File == d.File && other.Class == d.Class:
			p.problems.add(CodeDeployments, d.Place, "Deployment '%s' is listed twice.", name)
			return
		case other.Class == d.Class:
			problem := p.problems.add(CodeDeployments, d.Place, "Two deployments have the class name '%s'.", d.Class)
			problem.Hint = "Arguments and status go by class name; rename one."
			return
		case other.File == d.File && i > 0:
			problem := p.problems.add(CodeDeployments, d.Place, "Two sub-deployments come from the file '%s'.", d.FileName())
			problem.Hint = "The entry deployment receives a handle by the name of its file; move one into a file of its own."
			return
		}
	}
}

// splitImportPath checks "file:Class". The file is a plain relative path below
// the application's folder: it becomes a name to look up, never one to open.
func splitImportPath(path string) (file, class string, ok bool) {
	file, class, ok = strings.Cut(path, ":")
	ok = ok && isFilePart(file) && isIdentifier(class)
	return file, class, ok
}

func isFilePart(file string) bool {
	if strings.HasSuffix(file, ".py") || strings.ContainsFunc(file, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(file, "/"), func(part string) bool {
		return part == "" || part == "." || part == ".." || part != strings.TrimSpace(part)
	})
}

// isIdentifier is Python's rule, close enough: what it lets through is then
// looked up by name.
func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)) {
			return false
		}
	}
	return s != ""
}

func importHint(path string) string {
	file, _, _ := strings.Cut(path, ":")
	switch {
	case strings.HasSuffix(file, ".py"):
		return "Leave out '.py'."
	case strings.HasPrefix(file, "/"), strings.Contains(file, ".."), strings.Contains(file, `\`):
		return "The file is a path below the application's folder, with '/' between folders."
	}
	return ""
}
