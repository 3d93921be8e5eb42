package worker

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// manager is the artifact manager as a user of the workspace sees it.
func manager(t *testing.T, c *hypha.Client) *hypha.RemoteService {
	t.Helper()
	am, err := c.GetService(t.Context(), artifactManager, hypha.GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return am
}

func put(t *testing.T, s *site, am *hypha.RemoteService, id, name, content string) {
	t.Helper()
	address, _ := call(t, am, "put_file", hypha.Kwargs{"artifact_id": id, "file_path": name}).(string)
	if err := s.worker.transfer.upload(t.Context(), address, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

func TestUpload(t *testing.T) {
	s := newSite(t)
	client := s.client(t, s.token)
	worker, am := s.service(t, client, "bioengine-worker"), manager(t, client)
	upload := func(t *testing.T, names ...string) []string {
		t.Helper()
		files := []any{item("manifest.yaml", demoManifest, "text")}
		for _, name := range names {
			files = append(files, item(name, "content of "+name, "text"))
		}
		id := call(t, worker, "save_application", files).(string)
		stored, err := listFiles(t.Context(), am, id, "")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(stored)
		return stored
	}
	t.Run("stores folders", func(t *testing.T) {
		if got := upload(t, "a/b/old.txt", "a/kept.txt", "main.py"); !slices.Equal(got, []string{"a/b/old.txt", "a/kept.txt", "main.py", "manifest.yaml"}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("removes stale files in folders", func(t *testing.T) {
		if got := upload(t, "a/kept.txt", "main.py"); !slices.Equal(got, []string{"a/kept.txt", "main.py", "manifest.yaml"}) {
			t.Errorf("%v", got)
		}
	})
	id := "ws-user-" + s.user + "/demo"
	t.Run("goes on after an interrupted one", func(t *testing.T) {
		call(t, am, "edit", hypha.Kwargs{"artifact_id": id, "stage": true})
		call(t, am, "put_file", hypha.Kwargs{"artifact_id": id, "file_path": "never.bin"}) // and never uploaded
		if got := upload(t, "main.py"); !slices.Equal(got, []string{"main.py", "manifest.yaml"}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("replaces an artifact that was never committed, or lies elsewhere", func(t *testing.T) {
		call(t, am, "delete", hypha.Kwargs{"artifact_id": id})
		call(t, am, "create", hypha.Kwargs{"alias": "demo", "type": "generic", "manifest": map[string]any{"name": "x"}, "stage": true})
		if got := upload(t, "main.py"); !slices.Equal(got, []string{"main.py", "manifest.yaml"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestWebInterface runs an artifact as Hypha's web interface makes it: its
// record holds what the form asked for, outside of any collection.
func TestWebInterface(t *testing.T) {
	s := newSite(t)
	client := s.client(t, s.token)
	worker, am := s.service(t, client, "bioengine-worker"), manager(t, client)
	create := func(alias string, manifest map[string]any, files map[string]string) {
		record := call(t, am, "create", hypha.Kwargs{"alias": alias, "type": "application", "manifest": manifest, "stage": true}).(map[string]any)
		for name, content := range files {
			put(t, s, am, record["id"].(string), name, content)
		}
		call(t, am, "commit", hypha.Kwargs{"artifact_id": record["id"]})
	}
	form := map[string]any{"name": "From the form", "description": "typed in"}
	create("form", form, map[string]string{"Manifest.yaml": demoManifest, "main.py": demoSource})
	call(t, worker, "run_application", "form", hypha.Kwargs{"application_id": "form"})
	if now := awaitStatus(t, worker, "form", "RUNNING"); now["display_name"] != "Demo" || now["version"] != "v0" {
		t.Errorf("%v, version %v", now["display_name"], now["version"])
	}
	create("bare", form, map[string]string{"main.py": demoSource})
	refused(t, worker, "ValueError: Manifest is missing required field: 'id'", "run_application", "bare")
	create("gone", form, map[string]string{"manifest.yaml": demoManifest})
	refused(t, worker, "ValueError: Deployment file 'main.py' not found", "run_application", "gone")
	refused(t, worker, "ValueError: Artifact version 'v9' does not exist.", "run_application", "form", hypha.Kwargs{"version": "v9"})
}

// store answers as an artifact manager with these files would that knows one
// file at a time only.
type store struct {
	record map[string]any
	files  map[string]string // name -> address
}

func (s store) Call(_ context.Context, method string, args ...any) (any, error) {
	switch name := args[0].(hypha.Kwargs)["file_path"].(type) {
	case nil:
		if method == "read" {
			return s.record, nil
		}
		items := []any{}
		for name := range s.files {
			items = append(items, map[string]any{"name": name, "type": "file"})
		}
		return items, nil
	case string:
		if address, ok := s.files[name]; ok {
			return address, nil
		}
		return nil, &hypha.RemoteError{Class: "FileNotFoundError", Message: name}
	default:
		return nil, &hypha.RemoteError{Class: "TypeError", Message: "file_path must be a string"}
	}
}

func TestFetch(t *testing.T) {
	files := map[string]string{"/main.py": demoSource, "/manifest.yaml": demoManifest}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.Error(w, "no such key", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	rules := manifest.Rules{RequireAuthorizedUsers: true, Artifact: "ws/demo"}
	fetch := func(s store) (map[string][]byte, error) {
		src := source{am: s, transfer: transfer{client: server.Client()}, id: "ws/demo"}
		text, app, err := src.manifest(t.Context(), rules)
		if err != nil {
			return nil, err
		}
		found, err := src.deployments(t.Context(), app)
		if err == nil {
			found[manifestName] = text
		}
		return found, err
	}
	record := map[string]any{"manifest": map[string]any{
		"id": "demo", "name": "Record", "id_emoji": "x", "description": "d", "type": "ray-serve",
		"authorized_users": []any{"*"}, "deployments": []any{"main:Main"},
	}}
	t.Run("without lists of files", func(t *testing.T) {
		found, err := fetch(store{record, map[string]string{"main.py": server.URL + "/main.py", "manifest.yaml": server.URL + "/manifest.yaml"}})
		if err != nil || string(found["main.py"]) != demoSource || !strings.Contains(string(found[manifestName]), "Record") {
			t.Errorf("%q, %v", found, err)
		}
	})
	t.Run("a refused download names the file but not the signature", func(t *testing.T) {
		_, err := fetch(store{record, map[string]string{"main.py": server.URL + "/other.py?signature=secret"}})
		want := "RuntimeError: Failed to download deployment code from " + server.URL + "/other.py: HTTP 403 - no such key"
		if err == nil || strings.TrimSpace(err.Error()) != want {
			t.Errorf("%v", err)
		}
	})
	t.Run("no manifest at all", func(t *testing.T) {
		_, err := fetch(store{map[string]any{}, nil})
		if err == nil || err.Error() != "ValueError: Manifest not found in artifact ws/demo." {
			t.Errorf("%v", err)
		}
	})
	t.Run("a file without end", func(t *testing.T) {
		files["/main.py"] = strings.Repeat("x", maxSource+1)
		_, err := fetch(store{record, map[string]string{"main.py": server.URL + "/main.py"}})
		if err == nil || !strings.Contains(err.Error(), "the file is larger than 1024 KiB") {
			t.Errorf("%v", err)
		}
	})
}
