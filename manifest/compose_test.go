package manifest

import (
	"errors"
	"strings"
	"testing"
)

// entryWith is an entry deployment with a constructor and one schema method.
func entryWith(parameters string) string {
	return pythonHead + "@serve.deployment\nclass Main:\n    def __init__(self, " + parameters + "):\n        pass\n    @schema_method\n    def f(self): pass\n"
}

const helper = "from ray import serve\n@serve.deployment\nclass Helper:\n    pass\n"

func TestRead_checks_the_composition(t *testing.T) {
	const missing = "Parameter 'helper' not found in entry deployment 'Main' init method. Available parameters: "
	const wrongType = "Parameter 'helper' must be of type DeploymentHandle, but got "
	cases := []struct{ name, main, message, place string }{
		{"handle", entryWith("helper: DeploymentHandle"), "", ""},
		{"handle_as_text", entryWith("helper: 'DeploymentHandle'"), "", ""},
		{"handle_optional", entryWith("helper: 'DeploymentHandle | None' = None"), "", ""},
		{"handle_from_elsewhere", "from types_of_ours import Handle\n" + entryWith("helper: Handle"), "", ""},
		{"keyword_only", entryWith("*, helper: DeploymentHandle"), "", ""},
		{"unknown_base", strings.Replace(entryWith("")+"", "class Main:\n    def __init__(self, ):\n        pass\n", "class Main(Base):\n", 1), "", ""},
		{"absent", entryWith("model: str = 'x', other=1"), missing + "['model', 'other']", "main.py:5"},
		{"no_parameters", strings.Replace(entryWith(""), "self, ", "self", 1), missing + "[]", "main.py:5"},
		{"only_in_kwargs", entryWith("**kwargs"), missing + "[]", "main.py:5"},
		{"class_name", entryWith("Helper: DeploymentHandle"), missing + "['Helper']", "main.py:5"},
		{"unannotated", entryWith("helper"), wrongType + "unknown.", "main.py:6"},
		{"other_type", entryWith("\n        helper: str"), wrongType + "str.", "main.py:7"},
		{"generic_type", entryWith("helper: dict[str, int]"), wrongType + "dict[str, int].", "main.py:6"},
		{"handle_nobody_passes", entryWith("helper: DeploymentHandle, other: DeploymentHandle"), "Parameter 'other' of entry deployment 'Main' is a DeploymentHandle, but the manifest lists no sub-deployment from a file of that name.", "main.py:6"},
		{"handle_with_default", entryWith("helper: DeploymentHandle, other: DeploymentHandle = None"), "", ""},
		{"no_schema_method", strings.Replace(entryWith("helper: DeploymentHandle"), "    @schema_method\n", "", 1), "No schema methods found in the entry deployment class: Main.", "main.py:5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Reader{}.Read(t.Context(), application("main:Main helper:Helper", map[string]string{"main.py": c.main, "helper.py": helper}), Rules{})
			if c.message == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantProblem(t, err, c.message, c.place)
		})
	}
}

func TestRead_refuses_handles_of_sub_deployments(t *testing.T) {
	sub := strings.Replace(entryWith("other: DeploymentHandle"), "class Main", "class Helper", 1)
	_, err := Reader{}.Read(t.Context(), application("main:Main helper:Helper", map[string]string{"main.py": entryWith("helper: DeploymentHandle"), "helper.py": sub}), Rules{})
	wantProblem(t, err, "Parameter 'other' of deployment 'Helper' is a DeploymentHandle, but only the entry deployment receives handles.", "helper.py:6")
}

func TestRead_finds_files_and_classes(t *testing.T) {
	good := map[string]string{"main.py": entryWith("a=1"), "helper.py": helper}
	cases := []struct {
		name    string
		files   map[string][]byte
		rules   Rules
		message string
		place   string
	}{
		{"no_manifest_uploaded", map[string][]byte{"main.py": nil}, Rules{}, "No manifest file found in files list. Expected 'manifest.yaml'", ""},
		{"no_manifest_deployed", map[string][]byte{"sub/manifest.yaml": nil}, Rules{Artifact: "ws/app"}, "Manifest not found in artifact ws/app.", ""},
		{"no_file", application("main:Main other:Other", good), Rules{}, "Deployment file 'other.py' not found in the application's files.", "manifest.yaml:9"},
		{"no_class_uploaded", application("main:Absent", good), Rules{}, "Absent not found in main.py", "main.py"},
		{"no_class_deployed", application("main:Absent", good), Rules{Artifact: "ws/app"}, "Absent not found in ws/app", "main.py"},
		{"broken_file", application("main:Main", map[string]string{"main.py": "class Main\n"}), Rules{}, "main.py cannot be read: invalid syntax", "main.py:1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Reader{}.Read(t.Context(), c.files, c.rules)
			wantProblem(t, err, c.message, c.place)
		})
	}
}

func TestRead_reports_the_problems_of_all_files(t *testing.T) {
	files := application("main:Main helper:Helper", map[string]string{"main.py": "x = (\n", "helper.py": "class Helper: pass\n"})
	_, err := Reader{}.Read(t.Context(), files, Rules{})
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 || all[0].Place.File != "main.py" || all[1].Place.File != "helper.py" {
		t.Errorf("got %v", err)
	}
}

func TestRead_gives_one_file_with_two_classes_to_both(t *testing.T) {
	text := entryWith("helper: DeploymentHandle") + "@serve.deployment(num_replicas=2)\nclass Second: pass\n"
	files := application("main:Main helper:Helper", map[string]string{"main.py": text, "helper.py": helper})
	files["manifest.yaml"] = append(files["manifest.yaml"], "  - main:Second\n"...)
	_, err := Reader{}.Read(t.Context(), files, Rules{})
	wantProblem(t, err, "Parameter 'main' not found in entry deployment 'Main' init method.", "main.py:5")
	files["main.py"] = []byte(strings.Replace(text, "helper: DeploymentHandle", "helper: DeploymentHandle, main: DeploymentHandle", 1))
	app, err := Reader{}.Read(t.Context(), files, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if app.Deployment("Second").Options.NumReplicas.Value != 2 || app.Deployment("Absent") != nil {
		t.Errorf("got %+v", app.Deployments)
	}
}

func TestCheckKwargs(t *testing.T) {
	main := entryWith("text: str, count: int = 1, ratio: float = 1.0, flag: bool = False, items: list[str] = (), table: dict = None, path: Path = None, later: 'int' = 0, free=None, helper: DeploymentHandle = None")
	app, err := Reader{}.Read(t.Context(), application("main:Main helper:Helper", map[string]string{
		"main.py": main, "helper.py": "from ray import serve\n@serve.deployment\nclass Helper:\n    def __init__(self, start, **more): pass\n",
	}), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	type values = map[string]any
	with := func(name string, value any) values { return values{"text": "x", name: value} }
	cases := []struct {
		name    string
		main    values
		helper  values
		message string
	}{
		{"fine", values{"text": "x"}, values{"start": 1}, ""},
		{"open_keywords", values{"text": "x"}, values{"start": 1, "anything": 2}, ""},
		{"missing", values{}, values{"start": 1}, "Missing required parameter 'text' of type str."},
		{"missing_unannotated", values{"text": "x"}, nil, "Missing required parameter 'start' of type unknown."},
		{"unexpected", with("extra", 1), nil, "Unexpected parameter 'extra' provided. Expected one of ['text', 'count', 'ratio', 'flag', 'items', 'table', 'path', 'later', 'free', 'helper']"},
		{"text_for_int", with("count", "1"), nil, "Parameter 'count' must be of type int, but got str."},
		{"bool_for_int", with("count", true), values{"start": 1}, ""},
		{"int_for_float", with("ratio", int64(1)), nil, "Parameter 'ratio' must be of type float, but got int."},
		{"int_for_bool", with("flag", uint8(1)), nil, "Parameter 'flag' must be of type bool, but got int."},
		{"none_for_text", values{"text": nil}, nil, "Parameter 'text' must be of type str, but got NoneType."},
		{"bytes_for_text", values{"text": []byte("x")}, nil, "Parameter 'text' must be of type str, but got bytes."},
		{"list", with("items", []any{1, 2}), values{"start": 1}, ""},
		{"dict_for_list", with("items", map[string]any{}), nil, "Parameter 'items' must be of type list[str], but got dict."},
		{"dict", with("table", map[string]any{"a": 1}), values{"start": 1}, ""},
		{"encoded_for_dict", with("table", map[string]any{"_rtype": "ndarray"}), values{"start": 1}, ""},
		{"unknown_type", with("path", 3), values{"start": 1}, ""},
		{"string_annotation", with("later", "x"), values{"start": 1}, ""},
		{"no_annotation", with("free", 3), values{"start": 1}, ""},
		{"handle", with("helper", "x"), nil, "Parameter 'helper' must be of type DeploymentHandle, but got str."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := app.CheckKwargs(map[string]map[string]any{"Main": c.main, "Helper": c.helper, "NotInTheApp": {"x": 1}})
			if c.message == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var problem *Error
			if !errors.As(err, &problem) || problem.Message != c.message || problem.PythonClass() != "ValueError" {
				t.Errorf("got %v, want %q", err, c.message)
			}
		})
	}
}
