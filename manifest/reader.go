package manifest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// maxChildren bounds the processes that one Read runs at a time.
const maxChildren = 4

const (
	textNoManifest       = "No manifest file found in files list. Expected 'manifest.yaml'"
	textManifestNotFound = "Manifest not found in artifact %s."
)

// Reader reads whole applications. The zero value runs this very program as the
// child and has the default limits. It may be used concurrently.
type Reader struct {
	// Child is the argv of a program that calls RunChild; nil: this program with
	// ChildCommand.
	Child  []string
	Limits Limits
}

// Read reads an application from its files, which are given by their path
// relative to the application's folder. Errors are an *Error or Errors when the
// author's, anything else is a failure of this machine.
func (r Reader) Read(ctx context.Context, files map[string][]byte, rules Rules) (*Application, error) {
	name, ok := findManifest(files)
	if !ok {
		return nil, noManifest(rules)
	}
	app, err := ParseManifest(files[name], name, rules)
	if err != nil {
		return nil, err
	}
	if err := r.readDeployments(ctx, app, files, rules); err != nil {
		return nil, err
	}
	if err := app.checkComposition(); err != nil {
		return nil, err
	}
	return app, nil
}

func noManifest(rules Rules) error {
	if rules.Artifact == "" {
		return &Error{Code: CodeManifestMissing, Message: textNoManifest}
	}
	return &Error{Code: CodeManifestMissing, Message: fmt.Sprintf(textManifestNotFound, rules.Artifact)}
}

// findManifest looks manifest.yaml up without regard to case; the exact name
// wins, then the first in order.
func findManifest(files map[string][]byte) (name string, ok bool) {
	const manifest = "manifest.yaml"
	if _, ok := files[manifest]; ok {
		return manifest, true
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.EqualFold(name, manifest) {
			return name, true
		}
	}
	return "", false
}

// readDeployments runs one child per file and completes the deployments.
func (r Reader) readDeployments(ctx context.Context, app *Application, files map[string][]byte, rules Rules) error {
	sources, err := sourceFiles(app, files)
	if err != nil {
		return err
	}
	replies := make([]childReply, len(sources))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxChildren)
	for i, source := range sources {
		group.Go(func() error {
			reply, err := r.ask(groupCtx, childRequest{File: source.file, Artifact: rules.Artifact, Classes: source.classes}, files[source.file])
			replies[i] = reply
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return app.complete(sources, replies)
}

// source is one file with the classes wanted from it.
type source struct {
	file    string
	classes []string
}

// sourceFiles lists the files in the order of the manifest.
func sourceFiles(app *Application, files map[string][]byte) ([]source, error) {
	var out []source
	var problems Errors
	for _, d := range app.Deployments {
		if _, ok := files[d.FileName()]; !ok {
			problem := problems.add(CodeFileMissing, d.Place, "Deployment file '%s' not found in the application's files.", d.FileName())
			problem.Hint = "The manifest's entry '" + d.File + ":" + d.Class + "' names it."
			continue
		}
		at := slices.IndexFunc(out, func(s source) bool { return s.file == d.FileName() })
		if at < 0 {
			out = append(out, source{file: d.FileName()})
			at = len(out) - 1
		}
		out[at].classes = append(out[at].classes, d.Class)
	}
	return out, problems.err()
}

// complete puts what the files say into the deployments.
func (a *Application) complete(sources []source, replies []childReply) error {
	var problems Errors
	for i, source := range sources {
		problems = append(problems, replies[i].Problems...)
		if len(replies[i].Problems) > 0 {
			continue
		}
		for _, class := range source.classes {
			read, ok := replies[i].Deployments[class]
			if !ok {
				return fmt.Errorf("read %s: %w", source.file, errors.New("the child's answer lacks class "+class))
			}
			d := a.Deployment(class)
			read.File, read.Class = d.File, d.Class
			*d = read
		}
	}
	return problems.err()
}
