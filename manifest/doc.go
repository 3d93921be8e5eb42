// Package manifest turns what an author wrote, manifest.yaml and the decorators
// of the deployment files, into an Application. Nothing of the author's code is
// executed: Python files are parsed in a child process of this very program
// with limits on time and memory, and what cannot be known without running the
// file is answered as such, with the reason and its place (design 3).
//
// Main type: Application, made by Reader.Read (manifest and files) or
// ParseManifest (manifest alone). Packages worker, jobs and cmd/bioengine-hpc
// import it; the texts of errors that clients see are those of contract 2 and 3.
package manifest
