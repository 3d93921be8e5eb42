package worker

import (
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func item(name, content, kind any) map[string]any {
	return map[string]any{"name": name, "content": content, "type": kind}
}

func TestFiles(t *testing.T) {
	files, err := filesArg(&hypha.Request{Args: map[string]any{"files": []any{
		item("Manifest.YAML", "id: x", "text"),
		item("folder/a.bin", "AP8=", "base64"),
		item("b.bin", "data:application/octet-stream;base64,AP8=", "base64"),
		item("c.bin", []byte{0, 255}, nil),
		item("d.txt", "grüße", nil),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"id: x", "\x00\xff", "\x00\xff", "\x00\xff", "grüße"}
	for i, f := range files {
		if string(f.content) != want[i] {
			t.Errorf("%s: %q", f.name, f.content)
		}
	}
	if text, ok := findManifest(files); !ok || string(text) != "id: x" {
		t.Error("the manifest is not found whatever the case of its name")
	}
}

func TestFilesRefused(t *testing.T) {
	many := make([]any, maxFiles+1)
	for i := range many {
		many[i] = item("a", "", "text")
	}
	for _, c := range []struct {
		files any
		text  string
	}{
		{"x", "files must be a list of {name, content, type}, but got str."},
		{[]any{"x"}, "Item 0 of files must be a mapping"},
		{[]any{item(nil, "x", "text")}, "Item 0 of files has no name."},
		{[]any{item("a", 1.5, "text")}, "The content of file 'a' must be text or bytes, but got float."},
		{[]any{item("a", "x", "zip")}, "Type zip of file 'a' is unknown"},
		{[]any{item("a", "***", "base64")}, "The content of file 'a' is not valid base64"},
		{[]any{item("a", "x", "text"), item("a", "y", "text")}, "File 'a' is listed twice."},
		{many, "1001 files are too many"},
	} {
		_, err := filesArg(&hypha.Request{Args: map[string]any{"files": c.files}})
		if err == nil || !strings.HasPrefix(err.Error(), "ValueError: "+c.text) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	for _, name := range []string{"", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", `a\b`, "a\x00b", "a\nb", strings.Repeat("x", 600)} {
		if _, err := filesArg(&hypha.Request{Args: map[string]any{"files": []any{item(name, "x", "text")}}}); err == nil {
			t.Errorf("file name %q is taken", name)
		}
	}
}
