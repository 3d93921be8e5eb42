package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

func TestGuide(t *testing.T) {
	s := newSite(t)
	python := must(bed.Python(t.Context()))
	script := exec.CommandContext(t.Context(), python, "testdata/guide.py")
	script.Env = append(os.Environ(), "URL="+s.hypha.URL, "TOKEN="+s.token, "MANIFEST="+demoManifest, "SOURCE="+demoSource)
	var complaints strings.Builder
	script.Stderr = &complaints
	out := must(script.StdoutPipe())
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		last = lines.Text()
		if id, ok := strings.CutPrefix(last, "stopping "); ok {
			s.cluster.bury(id)
		}
	}
	if err := script.Wait(); err != nil || last != "ok" {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
}

func TestRestart(t *testing.T) {
	s := newSite(t)
	client := s.client(t, s.token)
	worker := s.service(t, client, "bioengine-worker")
	save(t, worker, demoManifest, demoSource)
	id := call(t, worker, "run_application", "demo", hypha.Kwargs{
		"application_id": "steady", "hypha_token": "the token", "application_env_vars": map[string]any{
			"Main": map[string]any{"_KEY": "secret"}, "*": map[string]any{"_KEY": "everybody's secret"}, "Later": map[string]any{"_KEY": "secret of a class to come"},
		},
	}).(string)
	before := awaitStatus(t, worker, id, "RUNNING")
	app := s.service(t, client, id)
	if got := call(t, app, "echo", "before"); got != "before" {
		t.Fatalf("%v", got)
	}
	record := string(s.cluster.app(id).Record)
	if strings.Contains(record, "secret") || strings.Contains(record, "the token") {
		t.Errorf("the record holds secrets: %s", record)
	}
	s.stop()
	s.start(t)
	worker = s.service(t, client, "bioengine-worker")
	after := awaitStatus(t, worker, id, "RUNNING")
	for _, key := range []string{"start_time", "last_updated_at", "last_updated_by", "artifact_id", "display_name"} {
		if before[key] != after[key] || after[key] == nil {
			t.Errorf("%s was %v and is %v", key, before[key], after[key])
		}
	}
	if before["recovered_app"] != false || after["recovered_app"] != true {
		t.Errorf("recovered_app: %v, then %v", before["recovered_app"], after["recovered_app"])
	}
	if fmt.Sprint(before["service_ids"]) != fmt.Sprint(after["service_ids"]) {
		t.Errorf("service ids were %v and are %v", before["service_ids"], after["service_ids"])
	}
	if got := call(t, app, "echo", "after"); got != "after" {
		t.Errorf("the proxy from before the restart got %v", got)
	}
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": id, "max_ongoing_requests": 2})
	if secrets := s.cluster.app(id).Deployments[0].Secrets; secrets["KEY"] != "secret" || secrets["HYPHA_TOKEN"] != "the token" {
		t.Errorf("an update after a restart has the secrets %v", secrets)
	}
	save(t, worker, strings.Replace(demoManifest, "main:Main", "main:Later", 1), strings.Replace(demoSource, "class Main", "class Later", 1))
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": id})
	if secrets := s.cluster.app(id).Deployments[0].Secrets; secrets["KEY"] != "secret of a class to come" || secrets["HYPHA_TOKEN"] != "the token" {
		t.Errorf("a class that came with an update after a restart has the secrets %v", secrets)
	}
}

func TestRestartDuringRemoval(t *testing.T) {
	s := newSite(t)
	client := s.client(t, s.token)
	worker := s.service(t, client, "bioengine-worker")
	save(t, worker, demoManifest, demoSource)
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "leaving"})
	before := awaitStatus(t, worker, "leaving", "RUNNING")
	call(t, worker, "stop_application", "leaving")
	s.stop()
	s.start(t)
	worker = s.service(t, client, "bioengine-worker")
	all, _ := call(t, worker, "get_application_status").(map[string]any)
	after, _ := all["leaving"].(map[string]any)
	if after["status"] != "DELETING" || after["start_time"] != before["start_time"] {
		t.Errorf("the list of all after the restart: %v", all)
	}
	call(t, worker, "stop_application", "leaving")
	if _, err := client.GetService(t.Context(), "ws-user-"+s.user+"/leaving", hypha.GetServiceOptions{}); err == nil {
		t.Error("its service is registered again")
	}
	s.cluster.bury("leaving")
	if all, ok := call(t, worker, "get_application_status").(map[string]any); !ok || len(all) != 0 {
		t.Errorf("after its end: %v", all)
	}
}

func TestPermissions(t *testing.T) {
	s := newSite(t)
	worker := s.service(t, s.client(t, s.token), "bioengine-worker")
	save(t, worker, strings.Replace(demoManifest, `["*"]`, `["friend@example.org"]`, 1), demoSource)
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "closed"})
	awaitStatus(t, worker, "closed", "RUNNING")

	stranger := s.client(t, must(s.hypha.Token("stranger")))
	asked := s.service(t, stranger, "bioengine-worker")
	who := "PermissionError: User 'stranger' (stranger@example.org) is not authorized for "
	refused(t, asked, who+"deploying an application from artifact 'ws-user-"+s.user+"/demo'. Authorized users: [", "run_application", "demo")
	refused(t, asked, who+"undeploying the application 'closed'", "stop_application", "closed")
	refused(t, asked, who+"creating or modifying an application", "save_application", []any{})
	if call(t, asked, "check_access") != false {
		t.Error("a stranger has access")
	}
	if status(t, asked, "closed")["status"] != "RUNNING" {
		t.Error("a stranger may not see the status")
	}
	app := s.service(t, stranger, "closed")
	refused(t, app, "PermissionError: User 'stranger' (stranger@example.org) is not authorized to access application 'closed'", "echo", "x")
	if load := call(t, app, "get_load"); load != 0.0 && load != int64(0) {
		t.Errorf("load %v", load)
	}
	friend := s.service(t, s.client(t, must(s.hypha.Token("friend"))), "closed")
	if got := call(t, friend, "echo", "x"); got != "x" {
		t.Errorf("a friend got %v", got)
	}
}

func TestRefusedDeploymentLeavesNothing(t *testing.T) {
	s := newSite(t)
	s.worker.cfg.LocalArtifacts = t.TempDir()
	worker := s.service(t, s.client(t, s.token), "bioengine-worker")
	s.local(t, "demo", demoManifest, demoSource)
	for name, c := range map[string]struct{ manifest, source, text string }{
		"broken":  {demoManifest, "class Main(:\n", "main.py:1"},
		"missing": {strings.Replace(demoManifest, "main:Main", "main:Other", 1), demoSource, "ValueError: Other not found in ws-user-" + s.user + "/missing"},
		"absent":  {strings.Replace(demoManifest, "main:Main", "other:Main", 1), demoSource, "ValueError: Deployment file 'other.py' not found"},
		"silent":  {demoManifest, strings.Replace(demoSource, "@schema_method", "", 1), "ValueError: No schema methods found in the entry deployment class: Main."},
		"nesting": {demoManifest, "x = " + strings.Repeat("(", 100_000), "ValueError: "},
	} {
		t.Run(name, func(t *testing.T) {
			s.local(t, name, c.manifest, c.source)
			refused(t, worker, c.text, "run_application", name, hypha.Kwargs{"application_id": name})
		})
	}
	s.cluster.refuse = errors.New("the store is full")
	refused(t, worker, "RuntimeError: Application 'full' could not be deployed: the store is full", "run_application", "demo", hypha.Kwargs{"application_id": "full"})
	s.cluster.refuse = nil
	if all, ok := call(t, worker, "get_application_status").(map[string]any); !ok || len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
	t.Run("an update that is refused leaves what runs", func(t *testing.T) {
		call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "kept"})
		before := awaitStatus(t, worker, "kept", "RUNNING")
		refused(t, worker, "ValueError: ", "run_application", "broken", hypha.Kwargs{"application_id": "kept"})
		s.cluster.refuse = errors.New("the store is full")
		refused(t, worker, "RuntimeError: ", "run_application", "demo", hypha.Kwargs{"application_id": "kept", "max_ongoing_requests": 3})
		after := status(t, worker, "kept")
		if after["status"] != "RUNNING" || after["last_updated_at"] != before["last_updated_at"] || after["max_ongoing_requests"] != int64(10) {
			t.Errorf("%v", after)
		}
	})
}

func TestServiceFollowsReplicas(t *testing.T) {
	s := newSite(t)
	s.cluster.slow = true
	client := s.client(t, s.token)
	worker := s.service(t, client, "bioengine-worker")
	save(t, worker, demoManifest, demoSource)
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "app"})
	find := func() error {
		_, err := client.GetService(t.Context(), "ws-user-"+s.user+"/app", hypha.GetServiceOptions{})
		return err
	}
	now := awaitStatus(t, worker, "app", "DEPLOYING")
	if ids := now["service_ids"].(map[string]any); ids["websocket_service_id"] != nil || find() == nil {
		t.Errorf("the service is there before its replica: %v", ids)
	}
	s.cluster.start("app", true)
	awaitStatus(t, worker, "app", "RUNNING")
	if err := find(); err != nil {
		t.Errorf("RUNNING, but: %v", err)
	}
	s.cluster.start("app", false)
	eventually(t, "the service is withdrawn", func() bool { return find() != nil })
	s.cluster.start("app", true)
	awaitStatus(t, worker, "app", "RUNNING")

	call(t, worker, "stop_application", "app")
	if now := status(t, worker, "app"); now["status"] != "DELETING" {
		t.Errorf("%v", now["status"])
	}
	eventually(t, "the stopped service is withdrawn", func() bool { return find() != nil })
	again := make(chan error, 1)
	go func() {
		_, err := worker.Call(context.Background(), "run_application", "demo", hypha.Kwargs{"application_id": "app"})
		again <- err
	}()
	select {
	case err := <-again:
		t.Fatalf("deployed beside the one being stopped: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	s.cluster.bury("app")
	if err := <-again; err != nil {
		t.Errorf("deploying anew after a stop: %v", err)
	}
	awaitStatus(t, worker, "app", "DEPLOYING")
}

func TestHyphaRestart(t *testing.T) {
	server, err := bed.StartHypha(t.Context(), bed.HyphaConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	s := &site{hypha: server, cluster: newCluster(), user: "alice", token: must(server.Token("alice"))}
	s.start(t)
	t.Cleanup(func() { s.stop() })
	worker := s.service(t, s.client(t, s.token), "bioengine-worker")
	save(t, worker, demoManifest, demoSource)
	call(t, worker, "run_application", "demo", hypha.Kwargs{"application_id": "app"})
	awaitStatus(t, worker, "app", "RUNNING")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := s.client(t, s.token)
	eventually(t, "both services are back", func() bool {
		app, err := client.GetService(t.Context(), "ws-user-alice/app", hypha.GetServiceOptions{})
		if err != nil {
			return false
		}
		got, err := app.Call(t.Context(), "echo", "again")
		_, noWorker := client.GetService(t.Context(), "ws-user-alice/bioengine-worker", hypha.GetServiceOptions{})
		return err == nil && got == "again" && noWorker == nil
	})
	awaitStatus(t, s.service(t, client, "bioengine-worker"), "app", "RUNNING")
}
