package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

const (
	manifestName = "manifest.yaml"
	maxManifest  = 256 << 10
	maxSource    = 1 << 20 // of one deployment file (design 3)
	maxSources   = 8 << 20 // of all: they travel to replicas in one message
)

// fetched is what an artifact gives for a deployment.
type fetched struct {
	files    map[string][]byte // the manifest and the deployment files that exist
	resolved string            // the version that was read, "" when unknown
}

// fetch reads an application's manifest and the deployment files that it lists;
// no other file of the artifact is needed (contract 2.4).
func (w *Worker) fetch(ctx context.Context, id, version string, rules manifest.Rules) (fetched, error) {
	am, err := w.artifacts(ctx)
	if err != nil {
		return fetched{}, err
	}
	s := source{am: am, transfer: w.transfer, id: id, version: version}
	if s.local, err = openLocal(w.cfg.LocalArtifacts, id); err != nil {
		return fetched{}, err
	}
	if s.local != nil {
		defer s.local.Close()
	}
	text, app, err := s.manifest(ctx, rules)
	if err != nil {
		return fetched{}, err
	}
	files, err := s.deployments(ctx, app)
	if err != nil {
		return fetched{}, err
	}
	files[manifestName] = text
	return fetched{files: files, resolved: s.resolved}, nil
}

// manifest returns the text of a valid manifest: the artifact's record if it
// holds one, else its manifest.yaml (artifacts made in Hypha's web interface
// keep there only what its form asked for).
func (s *source) manifest(ctx context.Context, rules manifest.Rules) ([]byte, *manifest.Application, error) {
	if text, err := s.readLocal(manifestName, maxManifest); err == nil {
		app, err := manifest.ParseManifest(text, manifestName, rules)
		return text, app, err
	}
	record, err := readArtifact(ctx, s.am, s.id, s.version)
	if err != nil {
		return nil, nil, remoteError(err)
	}
	if s.resolved = s.version; s.resolved == "" {
		s.resolved = record.newest()
	}
	text, app, invalid := parseRecord(record.manifest, rules)
	if invalid == nil {
		s.locate(ctx, app)
		return s.preferFile(ctx, text, app, rules)
	}
	written, err := s.findManifest(ctx)
	switch {
	case err != nil:
		return nil, nil, err
	case written != nil:
		app, err := manifest.ParseManifest(written, manifestName, rules)
		return written, app, err
	case len(record.manifest) == 0:
		return nil, nil, valueError("Manifest not found in artifact %s.", s.id)
	}
	return nil, nil, invalid
}

// preferFile takes the artifact's manifest.yaml instead of a record that says
// the same: problems can then be told with their lines.
func (s *source) preferFile(ctx context.Context, text []byte, app *manifest.Application, rules manifest.Rules) ([]byte, *manifest.Application, error) {
	written, err := s.download(ctx, manifestName, maxManifest)
	if err != nil {
		return text, app, nil // there is none of that name; the record suffices
	}
	fromFile, err := manifest.ParseManifest(written, manifestName, rules)
	if err != nil || !sameManifest(app, fromFile) {
		return text, app, nil // the record was changed since
	}
	return written, fromFile, nil
}

// sameManifest says whether record and file hold the same, but for what the
// upload adds.
func sameManifest(record, file *manifest.Application) bool {
	fields := maps.Clone(record.Raw)
	if _, ok := file.Raw[createdBy]; !ok {
		delete(fields, createdBy)
	}
	a, errA := json.Marshal(fields)
	b, errB := json.Marshal(file.Raw)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// parseRecord reads the manifest out of an artifact's record. JSON is YAML.
func parseRecord(fields map[string]any, rules manifest.Rules) ([]byte, *manifest.Application, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, valueError("Invalid YAML in manifest file: %s", err)
	}
	app, err := manifest.ParseManifest(text, "manifest of the artifact", rules)
	return text, app, err
}

// findManifest looks manifest.yaml up without regard to case; nil without one.
func (s *source) findManifest(ctx context.Context) ([]byte, error) {
	value, err := s.am.Call(ctx, "list_files", keywords("artifact_id", s.id, "version", s.version, "limit", listPage))
	if err != nil {
		return nil, remoteError(err)
	}
	items, _ := value.([]any)
	for _, item := range items {
		fields, _ := item.(map[string]any)
		if name, _ := fields["name"].(string); strings.EqualFold(name, manifestName) {
			return s.download(ctx, name, maxManifest)
		}
	}
	return nil, nil
}

// deployments fetches the files that the manifest lists. One that does not
// exist is left out: the reader then says which entry of the manifest lacks it.
func (s *source) deployments(ctx context.Context, app *manifest.Application) (map[string][]byte, error) {
	wanted := map[string]bool{}
	for _, d := range app.Deployments {
		wanted[d.FileName()] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(transfersAtOnce)
	var mu sync.Mutex // guards the following variables
	files := map[string][]byte{}
	total := 0
	for name := range wanted {
		group.Go(func() error {
			data, err := s.file(ctx, name)
			if isMissing(err) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			files[name] = data
			if total += len(data); total > maxSources {
				return valueError("The deployment files of '%s' are larger than %d MiB together.", s.id, maxSources>>20)
			}
			return nil
		})
	}
	return files, group.Wait()
}
