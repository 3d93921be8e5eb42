package worker

import (
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

func TestDescribe(t *testing.T) {
	app := jobs.Application{ID: "app", Hypha: must(composed(t, settings{kwargs: composedArguments}).hypha())}
	ready := readyOf(app)
	info := hypha.Info{Workspace: "ws", ClientID: "w-1", PublicBaseURL: "http://now"}
	said := publication{name: "Name", description: strings.Repeat("ä", 2000), offer: &offer{Description: ready.Description, Registration: ready.Registration}}
	service, err := describe("app", info, said)
	if err != nil {
		t.Fatal(err)
	}
	object := must(unpackMap(must(service.Describe(hypha.Header{}))))
	for name, fields := range map[string]map[string]any{"record": service.Record, "object": object} {
		config, _ := fields["config"].(map[string]any)
		if fields["name"] != "Name" || fields["type"] != "bioengine-apps" || config["visibility"] != "public" || config["require_context"] != true {
			t.Errorf("%s: %v", name, fields)
		}
		if n := len([]rune(fields["description"].(string))); n != maxDescription {
			t.Errorf("%s: a description of %d characters", name, n)
		}
	}
	schema := service.Record["service_schema"].(map[string]any)
	for _, name := range []string{"echo", "get_load", "get_num_pcs", "get_rtc_service_id"} {
		ref, _ := object[name].(map[string]any)
		if schema[name] == nil || ref["_rmethod"] != "services.app."+name || ref["_rtarget"] != "ws/w-1" || ref["_rserver"] != "http://now" {
			t.Errorf("%s: %v, %v", name, schema[name], ref)
		}
	}
	for name, broken := range map[string]*offer{
		"nothing":     {},
		"no schema":   {Description: ready.Description, Registration: ready.Description},
		"no mapping":  {Description: must(pack([]any{})), Registration: ready.Registration},
		"too large":   {Description: make([]byte, maxOffer), Registration: ready.Registration},
		"broken text": {Description: ready.Description[:10], Registration: ready.Registration},
	} {
		if _, err := describe("app", info, publication{offer: broken}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestLogsFitTheAnswer(t *testing.T) {
	room := 10
	l := logs{room: &room}
	if got := l.fit([]string{"1234", "5678"}); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got := l.fit([]string{"old", "1234", "1"}); len(got) != 2 || got[1] != "1" || !strings.HasPrefix(got[0], "(2 older lines are left out") {
		t.Errorf("%q", got)
	}
	if got := l.fit([]string{"x"}); len(got) != 1 || !strings.HasPrefix(got[0], "(1 older lines") {
		t.Errorf("%q", got)
	}
}
