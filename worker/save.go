package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

const (
	createdBy     = "created_by" // the field that an upload adds to the manifest
	locatedAtOnce = 100          // files
)

// saveApplication uploads an application into the worker's workspace
// (contract 1.4, 2.3). Uploads run one at a time: each holds all its files in
// memory, and two of one application must not mix. Others wait their turn,
// kept alive by Hypha's heartbeats.
func (w *Worker) saveApplication(ctx context.Context, r *hypha.Request) (any, error) {
	who, err := w.admit(r, "creating or modifying an application")
	if err != nil {
		return nil, err
	}
	if err := w.saving.take(ctx, "uploads"); err != nil {
		return nil, err
	}
	defer w.saving.give()
	id, err := w.save(ctx, who, r)
	if err != nil {
		w.log.Warn("an upload failed", zap.String("user", who.name()), zap.Error(err))
		return nil, runtimeError("Failed to create/update artifact: %s", message(err))
	}
	if err := w.checkSaved(ctx, id); err != nil {
		return nil, err
	}
	w.log.Info("application saved", zap.String("artifact", id), zap.String("user", who.name()))
	return id, nil
}

func (w *Worker) save(ctx context.Context, who identity, r *hypha.Request) (string, error) {
	files, err := filesArg(r)
	if err != nil {
		return "", err
	}
	text, ok := findManifest(files)
	if !ok {
		return "", valueError("No manifest file found in files list. Expected 'manifest.yaml'")
	}
	app, err := manifest.ParseManifest(text, manifestName, manifest.Rules{RequireAuthorizedUsers: true})
	if err != nil {
		return "", authorError(err)
	}
	am, err := w.artifacts(ctx)
	if err != nil {
		return "", err
	}
	info := w.own.Load().Info()
	parent, err := ensureCollection(ctx, am, info.Workspace)
	if err != nil {
		return "", err
	}
	fields := maps.Clone(app.Raw)
	fields[createdBy] = who.id
	u := uploader{am: am, transfer: w.transfer, log: w.log, parent: parent, workspace: info.Workspace, alias: app.ID, manifest: fields}
	return u.run(ctx, files)
}

// checkSaved makes sure that the artifact is where list_applications looks.
func (w *Worker) checkSaved(ctx context.Context, id string) error {
	am, err := w.artifacts(ctx)
	if err != nil {
		return err
	}
	saved, err := readArtifact(ctx, am, id, "")
	if err != nil || saved.parent != w.own.Load().Info().Workspace+"/"+collectionAlias {
		return valueError("Artifact '%s' could not be created or is not in the collection.", id)
	}
	return nil
}

// uploader carries out one upload; its methods are the steps in order.
type uploader struct {
	am               artifacts
	transfer         transfer
	log              *zap.Logger
	parent           string // the collection's id
	workspace, alias string
	manifest         map[string]any
	id               string            // set by stage
	addresses        map[string]string // set by locate
}

func (u *uploader) run(ctx context.Context, files []file) (string, error) {
	if err := u.stage(ctx); err != nil {
		return "", err
	}
	old, err := listFiles(ctx, u.am, u.id, "")
	if err != nil { // stale files stay then; the upload itself is not hindered
		u.log.Warn("cannot list the files of an artifact before the upload", zap.String("artifact", u.id), zap.Error(err))
	}
	if err := u.put(ctx, files); err != nil {
		return "", err
	}
	u.removeOld(ctx, old, files)
	if _, err := u.am.Call(ctx, "commit", keywords("artifact_id", u.id)); err != nil {
		return "", fmt.Errorf("commit '%s': %w", u.id, err)
	}
	return u.id, nil
}

// stage opens the artifact for changes, or creates it.
func (u *uploader) stage(ctx context.Context) error {
	u.id = u.workspace + "/" + u.alias
	old, err := readArtifact(ctx, u.am, u.id, "")
	switch {
	case err == nil && old.parent == u.parent && len(old.versions) > 0:
		return u.edit(ctx)
	case err == nil: // elsewhere, or never committed: nothing of it is used
		if _, err := u.am.Call(ctx, "delete", hypha.Kwargs{"artifact_id": u.id, "delete_files": true}); err != nil {
			return fmt.Errorf("replace '%s': %w", u.id, err)
		}
	case !isMissing(err):
		return fmt.Errorf("read '%s': %w", u.id, err)
	}
	return u.create(ctx)
}

func (u *uploader) edit(ctx context.Context) error {
	// What an interrupted upload left would fail the commit. As a rule there is nothing, which is an error too; whether
	// there is, a record does not tell.
	if _, err := u.am.Call(ctx, "discard", keywords("artifact_id", u.id)); err == nil {
		u.log.Info("discarded an unfinished upload", zap.String("artifact", u.id))
	}
	_, err := u.am.Call(ctx, "edit", hypha.Kwargs{"artifact_id": u.id, "manifest": u.manifest, "type": "application", "stage": true})
	if err != nil {
		return fmt.Errorf("edit '%s': %w", u.id, err)
	}
	return nil
}

func (u *uploader) create(ctx context.Context) error {
	value, err := u.am.Call(ctx, "create", hypha.Kwargs{
		"parent_id": u.parent, "type": "application", "alias": u.alias, "manifest": u.manifest, "stage": true,
	})
	if err != nil {
		return runtimeError("Failed to create artifact '%s': %s", u.id, err)
	}
	if fields, ok := value.(map[string]any); ok {
		if id := artifactOf(fields).id; id != "" {
			u.id = id
		}
	}
	return nil
}

// put uploads all files and reports all failures together; on any, the
// artifact stays staged and the committed version as it was.
func (u *uploader) put(ctx context.Context, files []file) error {
	u.locate(ctx, files)
	var g errgroup.Group
	g.SetLimit(transfersAtOnce)
	var mu sync.Mutex
	var failures []string
	for _, f := range files {
		g.Go(func() error {
			if err := u.putOne(ctx, f); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, fmt.Sprintf("%s: %s", f.name, message(err)))
			}
			return nil
		})
	}
	_ = g.Wait() // failures are collected above
	if len(failures) > 0 {
		slices.Sort(failures)
		return runtimeError("Failed to upload %d file(s): %s", len(failures), strings.Join(failures, "; "))
	}
	return nil
}

// locate asks for the addresses of many files at once, as each such call costs
// the server about 0.1 s. It helps only: putOne asks for those that it lacks.
func (u *uploader) locate(ctx context.Context, files []file) {
	u.addresses = map[string]string{}
	for batch := range slices.Chunk(files, locatedAtOnce) {
		names := make([]any, len(batch))
		for i, f := range batch {
			names[i] = f.name
		}
		value, err := u.am.Call(ctx, "put_file", keywords("artifact_id", u.id, "file_path", names))
		if err != nil {
			return
		}
		maps.Copy(u.addresses, addressesOf(value))
	}
}

func (u *uploader) putOne(ctx context.Context, f file) error {
	address := u.addresses[f.name]
	if address == "" {
		value, err := u.am.Call(ctx, "put_file", keywords("artifact_id", u.id, "file_path", f.name))
		if err != nil {
			return err
		}
		var ok bool
		if address, ok = value.(string); !ok {
			return errors.New("the artifact manager gave no address to upload to")
		}
	}
	return u.transfer.upload(ctx, address, f.content)
}

// removeOld drops the files that the new upload does not have.
func (u *uploader) removeOld(ctx context.Context, old []string, files []file) {
	kept := make(map[string]bool, len(files))
	for _, f := range files {
		kept[f.name] = true
	}
	for _, name := range old {
		if kept[name] {
			continue
		}
		if _, err := u.am.Call(ctx, "remove_file", keywords("artifact_id", u.id, "file_path", name)); err != nil {
			u.log.Warn("an old file of an artifact stays", zap.String("artifact", u.id), zap.String("file", name), zap.Error(err))
		}
	}
}
