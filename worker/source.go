package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// source is where one application's files come from: the artifact, with a
// local folder before it during development.
type source struct {
	am          artifacts
	transfer    transfer
	id, version string
	local       *os.Root // nil without
	resolved    string
	addresses   map[string]string // of files, as far as they were asked for together
}

// openLocal opens the folder of the development override that belongs to an
// artifact, if there is one.
func openLocal(base, id string) (*os.Root, error) {
	if base == "" {
		return nil, nil
	}
	_, alias, _ := strings.Cut(id, "/")
	root, err := os.OpenRoot(filepath.Join(base, strings.ReplaceAll(filepath.Base(alias), "-", "_")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the local copy of '%s': %w", id, err)
	}
	return root, nil
}

// locate asks for the addresses of all files at once: each such call costs the
// server about 0.1 s, however many files it names. It helps only; where it
// fails (an old server, a missing file) download asks for one after the other.
func (s *source) locate(ctx context.Context, app *manifest.Application) {
	names := []any{manifestName}
	for _, d := range app.Deployments {
		if !slices.Contains(names, any(d.FileName())) {
			names = append(names, d.FileName())
		}
	}
	value, err := s.am.Call(ctx, "get_file", keywords("artifact_id", s.id, "version", s.version, "file_path", names))
	if err == nil {
		s.addresses = addressesOf(value)
	}
}

func (s *source) file(ctx context.Context, name string) ([]byte, error) {
	data, err := s.readLocal(name, maxSource)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	return s.download(ctx, name, maxSource)
}

// readLocal fails with fs.ErrNotExist when there is no local copy. The folder
// is a root: a manifest cannot name files outside of it.
func (s *source) readLocal(name string, limit int64) ([]byte, error) {
	if s.local == nil {
		return nil, fs.ErrNotExist
	}
	f, err := s.local.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = valueError("The local file '%s' is larger than %d KiB.", name, limit>>10)
	}
	return data, err
}

// download fetches one file of the artifact.
func (s *source) download(ctx context.Context, name string, limit int) ([]byte, error) {
	address, err := s.address(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := s.transfer.download(ctx, address, limit)
	if err != nil {
		return nil, runtimeError("Failed to download deployment code from %s: %s", bare(address), err)
	}
	return data, nil
}

// address is where a file can be fetched for a while.
func (s *source) address(ctx context.Context, name string) (string, error) {
	if known := s.addresses[name]; known != "" {
		return known, nil
	}
	value, err := s.am.Call(ctx, "get_file", keywords("artifact_id", s.id, "version", s.version, "file_path", name))
	if err != nil {
		if isMissing(err) {
			return "", err
		}
		return "", remoteError(err)
	}
	address, ok := value.(string)
	if !ok {
		return "", runtimeError("The artifact manager gave no address for '%s' of '%s'.", name, s.id)
	}
	return address, nil
}
