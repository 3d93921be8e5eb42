package bed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// CacheDir is the folder that keeps what was built and the folders of running systems: BIOENGINE_TEST_CACHE, or
// bioengine-hpc in the user's cache folder. It is always absolute and outside the checkout.
func CacheDir() string {
	if dir := os.Getenv("BIOENGINE_TEST_CACHE"); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			return abs
		}
		return dir
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "bioengine-hpc")
	}
	return filepath.Join(os.TempDir(), "bioengine-hpc-cache") // no HOME: an empty environment must still work
}

// hashFiles is the name under which what the files define is cached: 16 hex digits over their names, modes and content and
// over the extra words (such as the version of the Python a virtual environment is bound to).
func hashFiles(words []string, trees ...fs.FS) (string, error) {
	sum := sha256.New()
	for _, word := range words {
		fmt.Fprintf(sum, "%q\n", word)
	}
	for _, tree := range trees {
		err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(tree, path)
			fmt.Fprintf(sum, "%q %d\n", path, len(content))
			sum.Write(content)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("hash the files of the test bed: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// writeFiles lays the trees out under dir, all of it executable: embedding forgets modes, and most of it is scripts.
func writeFiles(dir string, trees ...fs.FS) error {
	for _, tree := range trees {
		err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
			target := filepath.Join(dir, path)
			if err != nil {
				return err
			}
			if entry.IsDir() {
				return os.MkdirAll(target, 0o755)
			}
			content, err := fs.ReadFile(tree, path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, content, 0o755)
		})
		if err != nil {
			return fmt.Errorf("write the files of the test bed: %w", err)
		}
	}
	return nil
}

// buildOnce makes sure that target exists: build writes it under a temporary name beside it, which is then renamed into
// place. A lock file keeps two processes from building the same; what a killed build left behind goes first.
// The build's processes inherit the lock, so that one that outlives a killed owner still holds it.
func buildOnce(ctx context.Context, out io.Writer, what, target string, build func(temporary string, lock *os.File) error) error {
	if exists(target) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	held, err := lock(ctx, out, what, target+".lock")
	if err != nil {
		return err
	}
	defer held.Close() // releases the lock
	if exists(target) {
		return nil
	}
	temporary := target + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return fmt.Errorf("remove a half-built %s: %w", what, err)
	}
	start := time.Now()
	stop := progress(out, what, start)
	err = build(temporary, held)
	stop()
	if err != nil {
		return errors.Join(fmt.Errorf("build %s: %w", what, err), os.RemoveAll(temporary))
	}
	if err := os.Rename(temporary, target); err != nil {
		return fmt.Errorf("put %s in place: %w", what, err)
	}
	fmt.Fprintf(out, "bed: built %s (%.1f s)\n", what, time.Since(start).Seconds())
	return nil
}

// progress says that something is being built, now and every 10 s until the returned function is called.
func progress(out io.Writer, what string, start time.Time) (stop func()) {
	fmt.Fprintf(out, "bed: building %s\n", what)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(10 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fmt.Fprintf(out, "bed: still building %s (%.0f s)\n", what, time.Since(start).Seconds())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// lock takes the file's lock, waiting for another process that is building the same until ctx ends.
func lock(ctx context.Context, out io.Writer, what, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of %s: %w", what, err)
	}
	for waited := false; ; waited = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", what, err)
		}
		if !waited {
			fmt.Fprintf(out, "bed: another process is building %s, waiting\n", what)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the build of %s: %w", what, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
