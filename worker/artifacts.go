package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

const (
	artifactManager  = "public/artifact-manager"
	collectionAlias  = "applications"
	maxListed        = 10_000 // files of one artifact
	maxFolderDepth   = 32
	listPage         = 1000
	missingExistence = "does not exist"
	beingCreated     = "this may be a race condition"
	notCommitted     = "exists but is in staging mode"
)

// A read that met a creation is tried again after pauses that double: five
// times within about 3 s.
const (
	creationFirst = 100 * time.Millisecond
	creationLast  = 1600 * time.Millisecond
)

// artifacts calls Hypha's artifact manager (hypha-protocol 6).
// *hypha.RemoteService implements it.
type artifacts interface {
	Call(ctx context.Context, method string, args ...any) (any, error)
}

// artifact is the part of an artifact's record that we read.
type artifact struct {
	id, parent string
	manifest   map[string]any
	versions   []any
}

// readArtifact asks for one artifact; version "" is the newest.
func readArtifact(ctx context.Context, am artifacts, id, version string) (artifact, error) {
	value, err := readRecord(ctx, am, id, version)
	if err != nil {
		return artifact{}, err
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return artifact{}, runtimeError("The artifact manager answered with %s instead of the record of '%s'.", pythonType(value), id)
	}
	return artifactOf(fields), nil
}

// readRecord waits for an artifact that is being created at this moment: the
// artifact manager then answers that it exists but cannot be retrieved, or is
// not committed.
func readRecord(ctx context.Context, am artifacts, id, version string) (any, error) {
	for wait := creationFirst; ; wait *= 2 {
		value, err := am.Call(ctx, "read", keywords("artifact_id", id, "version", version))
		if err == nil || !isBeingCreated(err) || wait > creationLast {
			return value, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func isBeingCreated(err error) bool {
	var remote *hypha.RemoteError
	return errors.As(err, &remote) && strings.Contains(remote.Message, beingCreated) || isUncommitted(err)
}

func isUncommitted(err error) bool {
	var remote *hypha.RemoteError
	return errors.As(err, &remote) && strings.Contains(remote.Message, notCommitted)
}

func artifactOf(fields map[string]any) artifact {
	var a artifact
	a.id, _ = fields["id"].(string)
	a.parent, _ = fields["parent_id"].(string)
	a.manifest, _ = fields["manifest"].(map[string]any)
	a.versions, _ = fields["versions"].([]any)
	return a
}

// newest is the name of the version that "no version" means: the one with the
// greatest time, the later of equals.
func (a artifact) newest() string {
	name, newest := "", -1.0
	for _, v := range a.versions {
		fields, _ := v.(map[string]any)
		created := 0.0
		switch t := fields["created_at"].(type) {
		case int64:
			created = float64(t)
		case float64:
			created = t
		}
		if text, ok := fields["version"].(string); ok && created >= newest {
			name, newest = text, created
		}
	}
	return name
}

// addressesOf reads the answer about several files: path -> presigned URL.
func addressesOf(value any) map[string]string {
	addresses := map[string]string{}
	fields, _ := value.(map[string]any)
	for name, address := range fields {
		if text, ok := address.(string); ok {
			addresses[name] = text
		}
	}
	return addresses
}

// keywords makes keyword arguments of name and value pairs; empty strings are
// left out.
func keywords(pairs ...any) hypha.Kwargs {
	k := hypha.Kwargs{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			k[pairs[i].(string)] = pairs[i+1]
		}
	}
	return k
}

// isMissing says whether the artifact manager does not know an artifact or a
// file. Its errors are text (hypha-protocol 3.4).
func isMissing(err error) bool {
	var remote *hypha.RemoteError
	if !errors.As(err, &remote) {
		return false
	}
	return remote.Class == "FileNotFoundError" || strings.Contains(remote.Message, missingExistence)
}

// listFiles returns the paths of all files of an artifact, of its folders too.
func listFiles(ctx context.Context, am artifacts, id, version string) ([]string, error) {
	l := lister{am: am, id: id, version: version}
	err := l.folder(ctx, "", 0)
	return l.paths, err
}

type lister struct {
	am          artifacts
	id, version string
	paths       []string
	seen        int
}

func (l *lister) folder(ctx context.Context, dir string, depth int) error {
	if depth > maxFolderDepth {
		return fmt.Errorf("folders of '%s' are nested deeper than %d", l.id, maxFolderDepth)
	}
	for offset := 0; ; offset += listPage {
		args := keywords("artifact_id", l.id, "version", l.version, "dir_path", dir, "limit", listPage)
		if offset > 0 { // older servers do not know it
			args["offset"] = offset
		}
		value, err := l.am.Call(ctx, "list_files", args)
		if err != nil {
			return err
		}
		items, _ := value.([]any)
		for _, item := range items {
			if err := l.item(ctx, dir, item, depth); err != nil {
				return err
			}
		}
		if len(items) < listPage {
			return nil
		}
	}
}

func (l *lister) item(ctx context.Context, dir string, item any, depth int) error {
	if l.seen++; l.seen > maxListed {
		return fmt.Errorf("'%s' has more than %d files", l.id, maxListed)
	}
	fields, _ := item.(map[string]any)
	name, _ := fields["name"].(string)
	if name == "" {
		return nil
	}
	if dir != "" {
		name = dir + "/" + name
	}
	if fields["type"] == "directory" {
		return l.folder(ctx, name, depth+1)
	}
	l.paths = append(l.paths, name)
	return nil
}

// ensureCollection creates the collection that holds uploaded applications
// (contract 2.3, step 1) and returns its id.
func ensureCollection(ctx context.Context, am artifacts, workspace string) (string, error) {
	id := workspace + "/" + collectionAlias
	_, err := readRecord(ctx, am, id, "")
	if err == nil {
		return id, nil
	}
	if isUncommitted(err) {
		// A creation that broke off stays like this until somebody commits it.
		if _, err = am.Call(ctx, "commit", keywords("artifact_id", id)); err == nil {
			return id, nil
		}
	}
	if !isMissing(err) {
		return "", runtimeError("Failed to read the collection '%s': %s", id, err)
	}
	_, err = am.Call(ctx, "create", hypha.Kwargs{
		"type": "collection", "alias": collectionAlias,
		"manifest": map[string]any{"name": "Applications", "description": "Applications that BioEngine workers of this workspace run."},
		"config":   map[string]any{"permissions": map[string]any{"*": "r"}},
	})
	if err == nil {
		return id, nil
	}
	// Another upload, or another worker of the workspace, may have been first.
	if _, again := readRecord(ctx, am, id, ""); again != nil {
		return "", runtimeError("Failed to create the collection '%s': %s", id, err)
	}
	return id, nil
}

// remoteError passes on what the artifact manager said under its own class.
func remoteError(err error) error {
	var remote *hypha.RemoteError
	if errors.As(err, &remote) && remote.Class != "" {
		return &hypha.Error{Class: remote.Class, Message: remote.Message}
	}
	return err
}
