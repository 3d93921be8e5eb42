package hypha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestArtifacts(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "librarian"))
	ctx := testContext(t)
	artifacts, err := c.Artifacts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	record, err := artifacts.Create(ctx, Kwargs{"alias": "my-app", "type": "application", "manifest": map[string]any{"name": "My App"}, "stage": true})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := record["id"].(string)
	if id != "ws-user-librarian/my-app" {
		t.Fatalf("created %v", record)
	}
	files := map[string][]byte{"manifest.yaml": []byte("name: x\n"), "folder/big.bin": bytes.Repeat([]byte("0123456789"), 300_000), "empty": {}}
	for path, content := range files {
		var done, total int64
		err := artifacts.PutFile(ctx, id, path, bytes.NewReader(content), int64(len(content)), func(d, n int64) { done, total = d, n })
		if err != nil || done != int64(len(content)) || len(content) > 0 && total != done {
			t.Errorf("put %s: %v, %d of %d", path, err, done, total)
		}
	}
	if _, err := artifacts.Commit(ctx, id, nil); err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		var got bytes.Buffer
		if n, err := artifacts.GetFile(ctx, id, "", path, &got, nil); err != nil || n != int64(len(content)) || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("get %s: %d bytes, %v", path, n, err)
		}
	}
	top, err := artifacts.Files(ctx, id, "", "")
	inner, err2 := artifacts.Files(ctx, id, "", "folder")
	if err != nil || err2 != nil || len(top) != 3 || len(inner) != 1 || inner[0]["name"] != "big.bin" || inner[0]["size"] != int64(3_000_000) {
		t.Errorf("files: %v, %v, %v, %v", top, inner, err, err2)
	}
	read, err := artifacts.Read(ctx, id, "")
	if manifest, _ := read["manifest"].(map[string]any); err != nil || manifest["name"] != "My App" {
		t.Errorf("read: %v, %v", read, err)
	}
	if _, err := artifacts.Edit(ctx, id, Kwargs{"stage": true, "manifest": map[string]any{"name": "New"}}); err != nil {
		t.Fatal(err)
	}
	if err := artifacts.RemoveFile(ctx, id, "empty"); err != nil {
		t.Error(err)
	}
	if _, err := artifacts.Commit(ctx, id, nil); err != nil {
		t.Error(err)
	}
	list, err := artifacts.List(ctx, Kwargs{})
	if err != nil || len(list) == 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	_, err = artifacts.GetFile(ctx, id, "", "no/such/file", &bytes.Buffer{}, nil)
	var status *HTTPError
	var remote *RemoteError
	if !errors.As(err, &remote) && !errors.As(err, &status) {
		t.Errorf("a missing file: %v", err)
	} else if strings.Contains(err.Error(), "Signature") {
		t.Errorf("the error shows the signature: %v", err)
	}
	if err := artifacts.Delete(ctx, id); err != nil {
		t.Error(err)
	}
	if _, err := artifacts.Read(ctx, id, ""); err == nil {
		t.Error("a deleted artifact is read")
	}
}

func TestPutFile_stops_with_its_context(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	err := PutFile(ctx, nil, "http://127.0.0.1:9/path?X-Amz-Signature=secret", strings.NewReader("x"), 1, nil)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if _, err := GetFile(testContext(t), nil, "http://127.0.0.1:1/path?X-Amz-Signature=secret", &bytes.Buffer{}, nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestGenerateToken(t *testing.T) {
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "issuer"))
	token, err := c.GenerateToken(testContext(t), TokenOptions{Permission: "read_write", ClientID: "robot", ExpiresIn: time.Hour, Scopes: []string{"extra"}})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{ServerURL: h.URL, Workspace: "ws-user-issuer", ClientID: "robot", Token: func(context.Context) (string, error) { return token, nil }}
	robot := mustConnect(t, config)
	if user := robot.Info().User; user.Owner() != "issuer" {
		t.Errorf("the robot is %+v", user)
	}
	if err := robot.Register(testContext(t), echoService("echo")); err != nil {
		t.Error(err)
	}
	config.ClientID = "other"
	if other, err := Connect(testContext(t), config); err == nil {
		_ = other.Close()
		t.Error("the token serves for another client id")
	}
}

// TestLogin plays the person and the login page, which report the token over HTTP.
func TestLogin(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	want, err := h.Token("person")
	if err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 1)
	token, err := Login(testContext(t), LoginConfig{ServerURL: h.URL, Logger: logger(t), Show: func(page string) {
		go func() { reported <- reportLogin(h.URL, page, want) }()
	}})
	if err != nil || token != want {
		t.Errorf("got %q, %v", token, err)
	}
	if err := <-reported; err != nil {
		t.Error(err)
	}
}

func reportLogin(server, page, token string) error {
	u, err := url.Parse(page)
	if err != nil {
		return err
	}
	key := u.Query().Get("key")
	body, err := json.Marshal(map[string]any{"key": key, "token": token})
	if err != nil {
		return err
	}
	response, err := http.Post(server+"/public/services/hypha-login/report", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return fmt.Errorf("page %s: status %s", page, response.Status)
	}
	return nil
}
