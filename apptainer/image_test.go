package apptainer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseImage(t *testing.T) {
	for ref, want := range map[string]Image{
		"/images/a.sif":         {Container, "/images/a.sif"},
		"/images/sandbox/":      {Container, "/images/sandbox"},
		"host:/usr/bin/python3": {Host, "/usr/bin/python3"},
	} {
		got, err := ParseImage(ref)
		if err != nil || got != want || got.String() != strings.TrimSuffix(ref, "/") {
			t.Errorf("%q is %+v, %v", ref, got, err)
		}
		python, isHost := got.HostPython()
		if isHost != (got.Kind() == Host) || python != got.Path() {
			t.Errorf("%q: host Python %q, %v", ref, python, isHost)
		}
	}
	for ref, want := range map[string]string{
		"":                           "no image is named",
		"a.sif":                      "must be absolute",
		"~/a.sif":                    "must be absolute",
		"docker://python:3.11":       "`apptainer build image.sif docker://…`",
		"library://a/b":              "library references are not pulled",
		"host://x":                   "host references are not pulled",
		"host:python3":               "after host: must be absolute",
		"host:":                      "must be absolute",
		"/a/../b.sif":                "without . or ..",
		"/":                          "must be absolute",
		"/a\n.sif":                   "control characters",
		"/" + strings.Repeat("/", 9): "must",
	} {
		if _, err := ParseImage(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", ref, want, err)
		}
	}
}

func TestCheckSeesWhatAnImageIs(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sandbox, empty := filepath.Join(dir, "sandbox"), filepath.Join(dir, "empty")
	if err := os.MkdirAll(filepath.Join(sandbox, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	launch := "#!/usr/bin/env run-singularity\n\x00"
	for ref, want := range map[string]string{
		file("good.sif", launch+sifMagic+"01\x0002\x00"+strings.Repeat("x", 100), 0o644): "",
		file("good.sqfs", squashfsMagic+strings.Repeat("x", 100), 0o644):                 "",
		sandbox:                               "",
		"host:" + file("py", "x", 0o755):      "",
		empty:                                 "is a folder but no sandbox",
		filepath.Join(dir, "none.sif"):        "there is no such file",
		file("cut.sif", launch+"SIF_", 0o644): "is neither a SIF nor a squashfs file",
		file("empty.sif", "", 0o644):          "is neither a SIF nor a squashfs file",
		file("page.sif", "<html>", 0o644):     `begins with "<html>"`,
		"host:" + file("text", "x", 0o644):    "is not a program",
		"host:" + filepath.Join(dir, "nopy"):  "there is no such file",
		"/dev/null":                           "is neither a file nor a folder",
	} {
		err := image(t, ref).Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: want %q, got %v", ref, want, err)
		}
	}
}
