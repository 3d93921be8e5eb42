package worker

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// Bounds of an upload. All files come in one message, which Hypha limits too.
const (
	maxFiles     = 1000
	maxFileName  = 512       // bytes
	maxFileBytes = 256 << 20 // all files together
)

// file is one file of an upload.
type file struct {
	name    string // relative path with /
	content []byte
}

// filesArg reads the list of {name, content, type} (contract 1.4).
func filesArg(r *hypha.Request) ([]file, error) {
	items, ok := r.Args["files"].([]any)
	if !ok {
		return nil, valueError("files must be a list of {name, content, type}, but got %s.", pythonType(r.Args["files"]))
	}
	if len(items) > maxFiles {
		return nil, valueError("%d files are too many: at most %d can be uploaded at once.", len(items), maxFiles)
	}
	files := make([]file, 0, len(items))
	seen := make(map[string]bool, len(items))
	total := 0
	for i, item := range items {
		f, err := parseFile(i, item)
		if err != nil {
			return nil, err
		}
		if seen[f.name] {
			return nil, valueError("File '%s' is listed twice.", f.name)
		}
		seen[f.name] = true
		if total += len(f.content); total > maxFileBytes {
			return nil, valueError("The files are larger than %d MiB together (reached at '%s').", maxFileBytes>>20, f.name)
		}
		files = append(files, f)
	}
	return files, nil
}

func parseFile(i int, item any) (file, error) {
	fields, ok := item.(map[string]any)
	if !ok {
		return file{}, valueError("Item %d of files must be a mapping with name, content and type, but got %s.", i, pythonType(item))
	}
	name, ok := fields["name"].(string)
	if !ok {
		return file{}, valueError("Item %d of files has no name.", i)
	}
	if !relative(name) {
		return file{}, valueError("File name '%.600s' is not allowed: expected a relative path with '/' inside the application's folder.", name)
	}
	content, err := fileContent(name, fields["type"], fields["content"])
	return file{name: name, content: content}, err
}

// relative admits only paths that mean the same on every system.
func relative(name string) bool {
	switch {
	case name == "" || name == "." || len(name) > maxFileName:
		return false
	case path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../"):
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '\uFFFD' })
}

// fileContent decodes one file; base64 may come as a data URL.
func fileContent(name string, kind, content any) ([]byte, error) {
	var text string
	switch c := content.(type) {
	case []byte:
		if kind != "base64" {
			return c, nil
		}
		text = string(c)
	case string:
		text = c
	default:
		return nil, valueError("The content of file '%s' must be text or bytes, but got %s.", name, pythonType(content))
	}
	switch kind {
	case nil, "text":
		return []byte(text), nil
	case "base64":
		if strings.HasPrefix(text, "data:") {
			_, text, _ = strings.Cut(text, ",")
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, valueError("The content of file '%s' is not valid base64: %s", name, err)
		}
		return data, nil
	}
	return nil, valueError("Type %v of file '%s' is unknown: expected 'text' or 'base64'.", kind, name)
}

// findManifest looks the manifest up without regard to case.
func findManifest(files []file) ([]byte, bool) {
	for _, f := range files {
		if strings.EqualFold(f.name, manifestName) {
			return f.content, true
		}
	}
	return nil, false
}
