package hypha

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Artifacts is the server's artifact manager (hypha-protocol 6). It exists only where the server has S3.
type Artifacts struct {
	service *RemoteService
	// HTTP moves the files; nil for the default client.
	HTTP *http.Client
}

// Artifacts finds the artifact manager.
func (c *Client) Artifacts(ctx context.Context) (*Artifacts, error) {
	service, err := c.GetService(ctx, "public/artifact-manager", GetServiceOptions{})
	if err != nil {
		return nil, err
	}
	return &Artifacts{service: service}, nil
}

// Call calls any method of the artifact manager; the methods below only name those that are used most.
func (a *Artifacts) Call(ctx context.Context, method string, arguments Kwargs) (any, error) {
	value, err := a.service.Call(ctx, method, arguments)
	if err != nil {
		return nil, fmt.Errorf("artifact manager: %s: %w", method, err)
	}
	return value, nil
}

func (a *Artifacts) record(ctx context.Context, method string, arguments Kwargs) (map[string]any, error) {
	value, err := a.Call(ctx, method, arguments)
	if err != nil {
		return nil, err
	}
	record, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("artifact manager: %s answered with %T", method, value)
	}
	return record, nil
}

// Create makes an artifact (alias, workspace, parent_id, type, manifest, config, version, stage, overwrite, …) and returns
// its record.
func (a *Artifacts) Create(ctx context.Context, arguments Kwargs) (map[string]any, error) {
	return a.record(ctx, "create", arguments)
}

// Edit changes an artifact; with stage its files may be changed too, until Commit.
func (a *Artifacts) Edit(ctx context.Context, id string, arguments Kwargs) (map[string]any, error) {
	return a.record(ctx, "edit", withID(id, arguments))
}

// Commit ends staging.
func (a *Artifacts) Commit(ctx context.Context, id string, arguments Kwargs) (map[string]any, error) {
	return a.record(ctx, "commit", withID(id, arguments))
}

// Read returns the record of an artifact; version "" is the newest, "stage" the staged one.
func (a *Artifacts) Read(ctx context.Context, id, version string) (map[string]any, error) {
	return a.record(ctx, "read", versioned(id, version, Kwargs{"silent": true}))
}

// List returns the records below a parent ("" for the top of the workspace).
func (a *Artifacts) List(ctx context.Context, arguments Kwargs) ([]map[string]any, error) {
	value, err := a.Call(ctx, "list", arguments)
	return recordsOf(value), err
}

// Delete removes an artifact with its files.
func (a *Artifacts) Delete(ctx context.Context, id string) error {
	_, err := a.Call(ctx, "delete", Kwargs{"artifact_id": id, "delete_files": true})
	return err
}

// Files returns one level of a folder: {type: file|directory, name, size, last_modified}.
func (a *Artifacts) Files(ctx context.Context, id, version, folder string) ([]map[string]any, error) {
	arguments := versioned(id, version, Kwargs{})
	if folder != "" {
		arguments["dir_path"] = folder
	}
	value, err := a.Call(ctx, "list_files", arguments)
	return recordsOf(value), err
}

// PutFile uploads a file of a staged artifact.
func (a *Artifacts) PutFile(ctx context.Context, id, path string, body io.Reader, size int64, progress Progress) error {
	address, err := a.address(ctx, "put_file", Kwargs{"artifact_id": id, "file_path": path})
	if err != nil {
		return err
	}
	return PutFile(ctx, a.HTTP, address, body, size, progress)
}

// GetFile downloads a file into w and returns its size.
func (a *Artifacts) GetFile(ctx context.Context, id, version, path string, w io.Writer, progress Progress) (int64, error) {
	address, err := a.address(ctx, "get_file", versioned(id, version, Kwargs{"file_path": path, "silent": true}))
	if err != nil {
		return 0, err
	}
	return GetFile(ctx, a.HTTP, address, w, progress)
}

// RemoveFile removes a file of a staged artifact.
func (a *Artifacts) RemoveFile(ctx context.Context, id, path string) error {
	_, err := a.Call(ctx, "remove_file", Kwargs{"artifact_id": id, "file_path": path})
	return err
}

// address asks for a presigned URL.
func (a *Artifacts) address(ctx context.Context, method string, arguments Kwargs) (string, error) {
	value, err := a.Call(ctx, method, arguments)
	if err != nil {
		return "", err
	}
	address, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("artifact manager: %s answered with %T", method, value)
	}
	return address, nil
}

func withID(id string, arguments Kwargs) Kwargs {
	all := Kwargs{"artifact_id": id}
	for key, value := range arguments {
		all[key] = value
	}
	return all
}

func versioned(id, version string, arguments Kwargs) Kwargs {
	all := withID(id, arguments)
	if version == "stage" {
		all["stage"] = true
	} else if version != "" {
		all["version"] = version
	}
	return all
}

// recordsOf reads a list of maps; anything else in it is left out.
func recordsOf(value any) []map[string]any {
	list, _ := value.([]any)
	records := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if record, ok := item.(map[string]any); ok {
			records = append(records, record)
		}
	}
	return records
}
