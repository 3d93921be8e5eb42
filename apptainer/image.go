// Package apptainer owns the way from an image's name to the command line and the
// batch script that start a program in it: images, binds, GPU flag, environment,
// quoting. Its main type is Run. The package jobs imports it, and cmd/bioengine-agent
// may.
//
// What is said here about Apptainer was seen with version 1.4.5, unprivileged.
package apptainer

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Kind is what an image is.
type Kind string

const (
	// Container is a SIF or squashfs file or a sandbox folder, run by Apptainer.
	Container Kind = "container"
	// Host is a Python of the machine itself: no container. Only the local back
	// end takes it.
	Host Kind = "host"
)

// Image is where a replica's program lives. The zero value is no image;
// ParseImage makes one.
type Image struct {
	kind Kind
	path string
}

var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$`)

// ParseImage reads an image reference: the absolute path of a SIF file or sandbox
// folder, or host:/path/to/python. Nothing is looked up (see Check). A leading ~ is
// the caller's to expand.
func ParseImage(ref string) (Image, error) {
	if path, ok := strings.CutPrefix(ref, "host:"); ok && !strings.HasPrefix(path, "//") {
		if err := checkPath(path); err != nil {
			return Image{}, fmt.Errorf("image %.200q: the path of the Python after host: %w", ref, err)
		}
		return Image{Host, path}, nil
	}
	if m := scheme.FindStringSubmatch(ref); m != nil {
		return Image{}, fmt.Errorf("image %.200q: %s references are not pulled; "+
			"make a file of it with `apptainer build image.sif %s://…` and name its absolute path", ref, m[1], m[1])
	}
	path := strings.TrimSuffix(ref, "/")
	if ref == "" {
		return Image{}, fmt.Errorf("no image is named; name the absolute path of a SIF file or of a sandbox folder")
	}
	if err := checkPath(path); err != nil {
		return Image{}, fmt.Errorf("image %.200q: its path %w", ref, err)
	}
	return Image{Container, path}, nil
}

// checkPath says what is wrong with a path that must mean one thing on every host.
func checkPath(path string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("must be absolute")
	case filepath.Clean(path) != path || path == "/":
		return fmt.Errorf("must name a file or folder without . or .. or double slashes (%s)", filepath.Clean(path))
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("must not hold control characters")
	}
	return nil
}

// Kind says whether a container is used.
func (i Image) Kind() Kind { return i.kind }

// Path is the file or folder, or the Python of a host image.
func (i Image) Path() string { return i.path }

// HostPython is the path of the machine's Python; ok is false for a container.
func (i Image) HostPython() (path string, ok bool) { return i.path, i.kind == Host }

// String is the reference ParseImage reads.
func (i Image) String() string {
	if i.kind == Host {
		return "host:" + i.path
	}
	return i.path
}
