package link

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// endpointFile is the only file in the directory that every job of a controller may read.
const endpointFile = "endpoint.json"

// Endpoint is where the controller listens. It lies in a directory that jobs see read-only, and is read again before
// each dial, since the controller may have moved to another login node.
type Endpoint struct {
	Addresses   []string `json:"addresses"`   // host:port, tried in order
	Fingerprint string   `json:"fingerprint"` // of the controller's key, see LoadOrCreateKey
	Epoch       int64    `json:"epoch"`       // of the controller's lease
	Instance    string   `json:"instance"`    // UUID of the state directory
}

// WriteEndpoint replaces endpoint.json in dir so that readers see the old or the new one, never a part, also after a
// crash of the machine.
func WriteEndpoint(dir string, e Endpoint) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write %s: %w", endpointFile, err)
	}
	if err := replaceFile(filepath.Join(dir, endpointFile), data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", endpointFile, err)
	}
	return nil
}

// ReadEndpoint reads endpoint.json in dir.
func ReadEndpoint(dir string) (Endpoint, error) {
	var e Endpoint
	data, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil {
		return e, fmt.Errorf("read endpoint: %w", err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("read endpoint: %s: %w", filepath.Join(dir, endpointFile), err)
	}
	if len(e.Addresses) == 0 || e.Fingerprint == "" {
		return e, fmt.Errorf("read endpoint: %s names no address or no fingerprint", filepath.Join(dir, endpointFile))
	}
	return e, nil
}

// replaceFile writes beside path, syncs and renames; the directory is synced too.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // of no effect after the rename
	if err := writeSynced(f, data, mode); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(f *os.File, data []byte, mode os.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
