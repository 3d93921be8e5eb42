package apptainer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Check looks at the image: there, readable, and of a kind that Apptainer runs (or,
// for a host image, a program). It reads 64 bytes at most, however large the image
// is. It is asked on the login node; a path that compute hosts do not share passes
// here and fails in the job.
func (i Image) Check() error {
	info, err := os.Stat(i.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("image %s: there is no such file; it must lie in a folder that login and compute hosts share", i)
	case err != nil:
		return fmt.Errorf("image %s: %w", i, err)
	case i.kind == Host:
		return i.checkPython(info)
	case info.IsDir():
		return i.checkSandbox()
	case !info.Mode().IsRegular():
		return fmt.Errorf("image %s is neither a file nor a folder", i)
	}
	return i.checkFile()
}

func (i Image) checkPython(info fs.FileInfo) error {
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("image %s: %s is not a program", i, i.path)
	}
	return nil
}

func (i Image) checkSandbox() error {
	if _, err := os.ReadDir(i.path); err != nil {
		return fmt.Errorf("image %s: %w", i, err)
	}
	for _, name := range []string{"usr", "bin"} {
		if info, err := os.Stat(filepath.Join(i.path, name)); err == nil && info.IsDir() {
			return nil
		}
	}
	return fmt.Errorf("image %s is a folder but no sandbox: it has neither usr nor bin", i)
}

// The starts of the files Apptainer runs. A SIF begins with a line for the shell;
// its magic follows it (sylabs/sif, sif.go: hdrLaunchLen, hdrMagic).
const (
	sifOffset     = 32
	sifMagic      = "SIF_MAGIC\x00"
	squashfsMagic = "hsqs"
)

func (i Image) checkFile() error {
	f, err := os.Open(i.path)
	if err != nil {
		return fmt.Errorf("image %s: %w", i, err)
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("image %s: %w", i, err)
	}
	head = head[:n]
	sif := len(head) > sifOffset && bytes.HasPrefix(head[sifOffset:], []byte(sifMagic))
	if !sif && !bytes.HasPrefix(head, []byte(squashfsMagic)) {
		return fmt.Errorf("image %s is neither a SIF nor a squashfs file (it begins with %.20q); was it copied whole?", i, head)
	}
	return nil
}
