package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Limits of an application's folder. What is larger belongs in a dataset or
// an image.
const (
	maxFolderFiles = 2000
	maxFolderBytes = 256 << 20
)

// readFolder reads every regular file below dir, by its path relative to it.
// Hidden files and byte code are left out; links are not followed.
func readFolder(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if path != dir && (strings.HasPrefix(name, ".") || name == "__pycache__") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); total > maxFolderBytes || len(files) >= maxFolderFiles {
			return &usageError{Sentence: fmt.Sprintf("the folder has more than %d files or %d MiB", maxFolderFiles, maxFolderBytes>>20), Place: dir, Hint: "leave data out of the application's folder"}
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(relative)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		if _, ok := err.(*usageError); ok {
			return nil, err
		}
		return nil, &usageError{Sentence: "the folder cannot be read: " + err.Error(), Hint: "give the folder that holds manifest.yaml"}
	}
	return files, nil
}
