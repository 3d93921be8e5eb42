package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fields are the lines of a complete manifest, by field.
var fields = map[string]string{
	"name": "name: App", "id": "id: my-app", "id_emoji": "id_emoji: \"x\"", "description": "description: What it does",
	"type": "type: ray-serve", "deployments": "deployments: [\"main:Main\"]", "authorized_users": "authorized_users: [\"*\"]",
}

// manifestWith writes a manifest of which some fields are replaced; "" leaves a
// field out. The fields replaced come first, so the first begins at line 1.
func manifestWith(replaced ...string) string {
	var b strings.Builder
	left := map[string]bool{}
	for i := 0; i+1 < len(replaced); i += 2 {
		left[replaced[i]] = true
		if replaced[i+1] != "" {
			b.WriteString(replaced[i+1] + "\n")
		}
	}
	for _, name := range requiredFields {
		if !left[name] {
			b.WriteString(fields[name] + "\n")
		}
	}
	return b.String()
}

func TestParseManifest_refuses_with_text_and_place(t *testing.T) {
	const users = "Invalid authorized_users format in manifest. Expected a non-empty list of user IDs or '*' for all users."
	const deployments = "Invalid deployments format in manifest. Expected a non-empty list of deployment descriptions in the format 'python_file:class_name'."
	wrongType := func(shown string) string {
		return "Application type must be 'ray-serve'. Invalid manifest type: '" + shown + "'. Expected 'ray-serve'."
	}
	importPath := func(path string) string {
		return "Invalid import path format: " + path + ". Expected format is 'filename:ClassName' (without .py extension)."
	}
	cases := []struct{ name, text, message, place string }{
		{"empty", "", "Invalid YAML in manifest file: the file is empty", "m.yaml"},
		{"only_comment", "# nothing\n", "the file is empty", "m.yaml"},
		{"list", "- a\n", "the file must be a mapping of fields, but is a list", "m.yaml:1"},
		{"scalar", "hello\n", "but is the text 'hello'", "m.yaml:1"},
		{"syntax", "name: [\nid: x\n", "Invalid YAML in manifest file: line 2: did not find expected ',' or ']'", "m.yaml:2"},
		{"tab", "name:\n\tx\n", "found character that cannot start any token", "m.yaml:2"},
		{"two_documents", "a: 1\n---\nb: 2\n", "a second document begins", "m.yaml:2"},
		{"duplicate_key", manifestWith() + "name: Again\n", "key 'name' is already set at line 1", "m.yaml:8"},
		{"duplicate_key_inside", manifestWith() + "x:\n  a: 1\n  a: 2\n", "key 'a' is already set at line 9", "m.yaml:10"},
		{"not_utf8", "name: caf\xe9\n", "the file is not UTF-8", "m.yaml"},
		{"nul", "name: \x00\n", "Invalid YAML in manifest file: ", "m.yaml"},
		{"huge", "#" + strings.Repeat("x", maxManifestBytes), "more than 262144 bytes", "m.yaml"},
		{"deep", "a: " + strings.Repeat("[", 500) + strings.Repeat("]", 500), "nested deeper than 100 levels", "m.yaml:1"},
		{"very_deep", "a: " + strings.Repeat("[", 100_000), "Invalid YAML in manifest file: ", "m.yaml"},
		{"alias_bomb", yamlBomb(), "expands to more than 200000 values", "m.yaml:1"},
		{"alias_cycle", "a: &a [*a]\n", "Invalid YAML in manifest file: ", "m.yaml:1"},
		{"merge_cycle", "a: &a\n  <<: *a\n", "nested deeper than 100 levels", "m.yaml:1"},
		{"merge_of_text", "<<: hello\n", "'<<' must merge a mapping", "m.yaml:1"},
		{"unknown_alias", "a: *b\n", "unknown anchor 'b' referenced", "m.yaml"},
		{"key_of_list", "? [a]\n: b\n", "a key must be a text, but is a list", "m.yaml:1"},

		{"missing_name", manifestWith("name", "", "id", ""), "Manifest is missing required field: 'name'", "m.yaml"},
		{"missing_id", manifestWith("id", "", "type", ""), "Manifest is missing required field: 'id'", "m.yaml"},
		{"missing_emoji", manifestWith("id_emoji", ""), "Manifest is missing required field: 'id_emoji'", "m.yaml"},
		{"missing_description", manifestWith("description", ""), "Manifest is missing required field: 'description'", "m.yaml"},
		{"missing_type", manifestWith("type", ""), "Manifest is missing required field: 'type'", "m.yaml"},
		{"missing_deployments", manifestWith("deployments", ""), "Manifest is missing required field: 'deployments'", "m.yaml"},
		{"missing_users", manifestWith("authorized_users", ""), "Manifest is missing required field: 'authorized_users'", "m.yaml"},
		{"missing_before_wrong", manifestWith("type", "type: x", "authorized_users", ""), "missing required field: 'authorized_users'", "m.yaml"},

		{"other_type", manifestWith("type", "type: docker"), wrongType("docker"), "m.yaml:1"},
		{"list_type", manifestWith("type", "type: [ray-serve]"), wrongType("a list"), "m.yaml:1"},
		{"empty_type", manifestWith("type", "type:"), wrongType(""), "m.yaml:1"},

		{"deployments_text", manifestWith("deployments", "deployments: main:Main"), deployments, "m.yaml:1"},
		{"deployments_empty", manifestWith("deployments", "deployments: []"), deployments, "m.yaml:1"},
		{"deployments_null", manifestWith("deployments", "deployments:"), deployments, "m.yaml:1"},
		{"deployments_number", manifestWith("deployments", "deployments:\n  - 3"), deployments, "m.yaml:2"},
		{"deployments_mapping", manifestWith("deployments", "deployments:\n  - main: Main"), deployments, "m.yaml:2"},
		{"deployments_many", manifestWith("deployments", "deployments: ["+strings.Repeat("a:B,", 65)+"]"), "at most 64 deployments", "m.yaml:1"},
		{"import_no_colon", manifestWith("deployments", "deployments: [main]"), importPath("main"), "m.yaml:1"},
		{"import_two_colons", manifestWith("deployments", "deployments: [\"a:b:C\"]"), importPath("a:b:C"), "m.yaml:1"},
		{"import_py", manifestWith("deployments", "deployments: [\"main.py:Main\"]"), importPath("main.py:Main"), "m.yaml:1"},
		{"import_absolute", manifestWith("deployments", "deployments: [\"/etc/main:Main\"]"), importPath("/etc/main:Main"), "m.yaml:1"},
		{"import_parent", manifestWith("deployments", "deployments: [\"a/../../b:Main\"]"), importPath("a/../../b:Main"), "m.yaml:1"},
		{"import_dot", manifestWith("deployments", "deployments: [\"./b:Main\"]"), importPath("./b:Main"), "m.yaml:1"},
		{"import_backslash", manifestWith("deployments", "deployments: ['a\\b:Main']"), importPath(`a\b:Main`), "m.yaml:1"},
		{"import_empty_file", manifestWith("deployments", "deployments: [\":Main\"]"), importPath(":Main"), "m.yaml:1"},
		{"import_empty_class", manifestWith("deployments", "deployments: [\"main:\"]"), importPath("main:"), "m.yaml:1"},
		{"import_blank", manifestWith("deployments", "deployments: [\"main: Main\"]"), importPath("main: Main"), "m.yaml:1"},
		{"import_newline", manifestWith("deployments", `deployments: ["main\n:Main"]`), importPath("main :Main"), "m.yaml:1"},
		{"import_call", manifestWith("deployments", "deployments: [\"main:Main()\"]"), importPath("main:Main()"), "m.yaml:1"},
		{"import_digit", manifestWith("deployments", "deployments: [\"main:1Main\"]"), importPath("main:1Main"), "m.yaml:1"},
		{"listed_twice", manifestWith("deployments", "deployments:\n  - a:A\n  - a:A"), "Deployment 'a:A' is listed twice.", "m.yaml:3"},
		{"class_twice", manifestWith("deployments", "deployments:\n  - a:A\n  - b:A"), "Two deployments have the class name 'A'.", "m.yaml:3"},
		{"file_twice", manifestWith("deployments", "deployments:\n  - a:A\n  - b:B\n  - b:C"), "Two sub-deployments come from the file 'b.py'.", "m.yaml:4"},

		{"users_text", manifestWith("authorized_users", "authorized_users: someone"), users, "m.yaml:1"},
		{"users_empty", manifestWith("authorized_users", "authorized_users: []"), users, "m.yaml:1"},
		{"users_null", manifestWith("authorized_users", "authorized_users:"), users, "m.yaml:1"},
		{"users_number", manifestWith("authorized_users", "authorized_users:\n  - a\n  - 3"), users, "m.yaml:3"},
		{"users_empty_map", manifestWith("authorized_users", "authorized_users: {}"), users, "m.yaml:1"},
		{"users_map_of_text", manifestWith("authorized_users", "authorized_users:\n  f: someone"), users, "m.yaml:2"},

		{"id_underscore", manifestWith("id", "id: my_app"), "Invalid artifact alias: 'my_app'. Please use lowercase letters, numbers, and hyphens only.", "m.yaml:1"},
		{"id_upper", manifestWith("id", "id: MyApp"), "Invalid artifact alias: 'MyApp'.", "m.yaml:1"},
		{"id_slash", manifestWith("id", "id: ws/app"), "Invalid artifact alias: 'ws/app'.", "m.yaml:1"},
		{"id_hyphen_last", manifestWith("id", "id: app-"), "Invalid artifact alias: 'app-'.", "m.yaml:1"},
		{"id_empty", manifestWith("id", "id: \"\""), "Invalid artifact alias: ''.", "m.yaml:1"},
		{"id_null", manifestWith("id", "id:"), "Invalid artifact alias: ''.", "m.yaml:1"},
		{"id_newline", manifestWith("id", "id: \"a\\n\""), "Invalid artifact alias: 'a '.", "m.yaml:1"},
		{"id_list", manifestWith("id", "id: [a]"), "Invalid artifact alias: 'a list'.", "m.yaml:1"},

		{"name_number", manifestWith("name", "name: 3"), "Field 'name' of the manifest must be a text, but is the number 3.", "m.yaml:1"},
		{"name_null", manifestWith("name", "name:"), "Field 'name' of the manifest must be a text, but is empty.", "m.yaml:1"},
		{"description_list", manifestWith("description", "description: [a]"), "Field 'description' of the manifest must be a text, but is a list.", "m.yaml:1"},
		{"emoji_bool", manifestWith("id_emoji", "id_emoji: true"), "Field 'id_emoji' of the manifest must be a text, but is the truth value true.", "m.yaml:1"},
		{"version_list", "version: [1]\n" + manifestWith(), "Field 'version' of the manifest must be a text, but is a list.", "m.yaml:1"},
		{"slurm_text", "slurm: fast\n" + manifestWith(), "Field 'slurm' of the manifest must be a mapping, but is the text 'fast'.", "m.yaml:1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := ParseManifest([]byte(c.text), "m.yaml", Rules{RequireAuthorizedUsers: true})
			var problem *Error
			if errors.As(err, &problem) && problem.Place.File == "m.yaml" && c.place == "m.yaml" {
				problem.Place.Line = 0 // the library's line, where it gives one
			}
			wantProblem(t, err, c.message, c.place)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// yamlBomb is a short text of aliases that expands a thousandfold per line.
func yamlBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 300), ", "))
	}
	return b.String()
}

func TestParseManifest_reports_all_wrong_fields_in_the_contracts_order(t *testing.T) {
	text := manifestWith("name", "name: 1", "id", "id: A", "type", "type: x", "deployments", "deployments: x", "authorized_users", "authorized_users: x")
	_, err := ParseManifest([]byte(text), "m.yaml", Rules{})
	var all Errors
	if !errors.As(err, &all) || len(all) != 5 {
		t.Fatalf("got %v", err)
	}
	for i, code := range []string{CodeApplicationType, CodeDeployments, CodeAuthorizedUsers, CodeAlias, CodeFieldType} {
		if all[i].Code != code {
			t.Errorf("problem %d is %s, want %s", i, all[i].Code, code)
		}
	}
	if !strings.HasPrefix(err.Error(), "Application type must be 'ray-serve'.") || all.PythonClass() != "ValueError" {
		t.Errorf("%s: %v", all.PythonClass(), err)
	}
}

func TestParseManifest_accepts(t *testing.T) {
	cases := []struct {
		name, text string
		check      func(*Application) bool
	}{
		{"plain", manifestWith(), func(a *Application) bool {
			return a.ID == "my-app" && a.Name == "App" && a.Description == "What it does" && a.IDEmoji == "x" && a.Type == "ray-serve" &&
				a.Slurm == nil && a.Version == "" && reflect.DeepEqual(a.AuthorizedUsers, []string{"*"})
		}},
		{"no_users", manifestWith("authorized_users", ""), func(a *Application) bool { return reflect.DeepEqual(a.AuthorizedUsers, []string{"*"}) }},
		{"star_alone", manifestWith("authorized_users", "authorized_users: \"*\""), func(a *Application) bool { return reflect.DeepEqual(a.AuthorizedUsers, []string{"*"}) }},
		{"users_once", manifestWith("authorized_users", "authorized_users: [b, a, b]"), func(a *Application) bool { return reflect.DeepEqual(a.AuthorizedUsers, []string{"b", "a"}) }},
		{"users_by_method", manifestWith("authorized_users", "authorized_users: {f: [a], g: [], \"*\": \"*\"}"), func(a *Application) bool {
			return a.AuthorizedUsers == nil && reflect.DeepEqual(a.AuthorizedByMethod, map[string][]string{"f": {"a"}, "g": {}, "*": {"*"}})
		}},
		{"anchors", "x: &u [a, b]\n" + manifestWith("authorized_users", "authorized_users: *u"), func(a *Application) bool { return reflect.DeepEqual(a.AuthorizedUsers, []string{"a", "b"}) }},
		{"merge", "x: &m {partition: gpu, time: 1h}\nslurm:\n  <<: *m\n  time: 2h\n" + manifestWith(), func(a *Application) bool {
			return a.Slurm.Partition == "gpu" && a.Slurm.Time == 2*time.Hour
		}},
		{"unknown_fields", "extra: {1: yes, b: [1.5, null, 2024-01-31, 0x10], ~: x}\n" + manifestWith(), func(a *Application) bool {
			return reflect.DeepEqual(a.Raw["extra"], map[string]any{"1": "yes", "b": []any{1.5, nil, "2024-01-31", int64(16)}, "~": "x"})
		}},
		{"json", `{"name": "App", "id": "a", "id_emoji": "e", "description": "d", "type": "ray-serve", "deployments": ["a/b:C"], "authorized_users": ["*"]}`,
			func(a *Application) bool { return a.Deployments[0].File == "a/b" && a.Deployments[0].Class == "C" }},
		{"crlf", strings.ReplaceAll(manifestWith(), "\n", "\r\n"), func(a *Application) bool { return a.Name == "App" }},
		{"entry_and_sub_of_one_file", manifestWith("deployments", "deployments: [\"a:A\", \"a:B\", \"b:C\"]"), func(a *Application) bool { return len(a.Deployments) == 3 }},
		{"unicode_class", manifestWith("deployments", "deployments: [\"größe:Größe\"]"), func(a *Application) bool { return a.Entry().Class == "Größe" }},
		{"empty_slurm", "slurm:\n" + manifestWith(), func(a *Application) bool { return a.Slurm == nil }},
		{"version_text", "version: \"1.2.0\"\n" + manifestWith(), func(a *Application) bool { return a.Version == "1.2.0" }},
		{"version_number", "version: 1.10\n" + manifestWith(), func(a *Application) bool { return a.Version == "1.10" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			app, err := ParseManifest([]byte(c.text), "m.yaml", Rules{})
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(app) {
				t.Errorf("got %+v", app)
			}
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(manifestWith()))
	f.Add([]byte("slurm: {time: 4h, memory: 8G, gpus: \"a100:2\", options: [\"--x\"], deployments: {Main: {cpus: 2}}}\n" + manifestWith()))
	f.Add([]byte("a: &a [*a]\n<<: *a\n"))
	f.Add([]byte("authorized_users: {f: [a]}\n? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		app, err := ParseManifest(data, "manifest.yaml", Rules{})
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		var problem *Error
		switch {
		case err == nil && (app.ID == "" || len(app.Deployments) == 0 || app.Raw == nil):
			t.Errorf("accepted without what is required: %+v", app)
		case err != nil && !errors.As(err, &problem):
			t.Errorf("not the author's error: %v", err)
		case err != nil && strings.ContainsAny(err.Error(), "\n\r"):
			t.Errorf("more than one line: %q", err.Error())
		}
	})
}
