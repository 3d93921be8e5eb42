package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

func newAppSave(s *settings, f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "save FOLDER",
		Short:   "Upload an application's folder",
		Long:    "Check the manifest and the deployment files of FOLDER here, then upload the folder\nas an artifact of the worker's workspace. Files that are no longer in FOLDER go.",
		Example: "  bioengine-hpc app save examples/hello",
		Args:    exactly(1, "give the folder that holds manifest.yaml"),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := readFolder(args[0])
			if err != nil {
				return err
			}
			if _, err := (manifest.Reader{}).Read(c.Context(), files, manifest.Rules{RequireAuthorizedUsers: true}); err != nil {
				return inFolder(err, args[0])
			}
			w, err := f.dial(c.Context(), s)
			if err != nil {
				return err
			}
			defer w.close()
			fmt.Fprintf(c.ErrOrStderr(), "uploading %d files\n", len(files))
			id, err := w.call(c.Context(), "save_application", hypha.Kwargs{"files": fileItems(files)})
			if err != nil {
				return err
			}
			if s.asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"artifact_id": id})
			}
			fmt.Fprintf(c.OutOrStdout(), "Application created successfully!\nArtifact ID: %s\n", id)
			return nil
		},
	}
}

// fileItems are files in the form of save_application (contract 1.4).
func fileItems(files map[string][]byte) []any {
	var items []any
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, kind := string(files[name]), "text"
		if !utf8.Valid(files[name]) {
			content, kind = base64.StdEncoding.EncodeToString(files[name]), "base64"
		}
		items = append(items, map[string]any{"name": name, "content": content, "type": kind})
	}
	return items
}
