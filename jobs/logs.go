package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
)

// A replica's log is one file of lines "<unix ns> <1|2> <text>": 1 is
// stdout, 2 stderr. A full file becomes its .old once and is then replaced,
// so that a replica keeps between one and two times maxLogFile.
const (
	maxLogFile  = 16 << 20 // bytes
	maxJobFile  = 1 << 20  // bytes read of the batch system's output file
	maxLogLines = 100_000  // returned per stream
)

// logFiles owns the files of all replicas that have a log stream.
type logFiles struct {
	cfg  Config
	mu   sync.Mutex // guards the following field
	open map[string]*logFile
}

type logFile struct {
	mu   sync.Mutex // guards the following fields
	path string
	f    *os.File
	w    *bufio.Writer
	size int64
	done bool
}

func newLogFiles(cfg Config) *logFiles {
	return &logFiles{cfg: cfg, open: map[string]*logFile{}}
}

func (l *logFiles) path(app, replica string) string {
	return filepath.Join(l.cfg.logDir(app), replica+".log")
}

// collect writes a replica's log stream to its file until the stream ends.
func (l *logFiles) collect(app, replica string, s io.Reader) {
	file := l.file(app, replica)
	in := bufio.NewReaderSize(s, 4096)
	for {
		record, err := link.ReadLog(in)
		if err != nil {
			break
		}
		file.write(record, in.Buffered() == 0)
	}
	file.flush()
}

func (l *logFiles) file(app, replica string) *logFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := l.path(app, replica)
	f := l.open[path]
	if f == nil {
		f = &logFile{path: path}
		l.open[path] = f
	}
	return f
}

// write appends one line; the last of a burst reaches the file at once. A
// full disk loses log lines, never a replica.
func (f *logFile) write(r link.LogRecord, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done || !f.ensureOpen() {
		return
	}
	n, _ := fmt.Fprintf(f.w, "%d %d %s\n", r.Time.UnixNano(), r.Stream, r.Text)
	f.size += int64(n)
	if last {
		_ = f.w.Flush()
	}
	if f.size >= maxLogFile {
		f.shut()
		_ = os.Rename(f.path, f.path+".old")
	}
}

func (f *logFile) ensureOpen() bool {
	if f.f != nil {
		return true
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	if info, err := file.Stat(); err == nil {
		f.size = info.Size()
	}
	f.f, f.w = file, bufio.NewWriterSize(file, 4096)
	return true
}

func (f *logFile) shut() {
	if f.f != nil {
		_ = f.w.Flush()
		f.f.Close()
		f.f, f.w, f.size = nil, nil, 0
	}
}

func (f *logFile) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut()
}

// closeReplica ends a dead replica's file.
func (l *logFiles) closeReplica(app, replica string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := l.path(app, replica)
	if f := l.open[path]; f != nil {
		f.flush()
		delete(l.open, path)
	}
}

func (l *logFiles) removeReplica(app, replica string) {
	l.closeReplica(app, replica)
	base := filepath.Join(l.cfg.logDir(app), replica)
	for _, suffix := range []string{".log", ".log.old", ".job"} {
		_ = os.Remove(base + suffix) // what is left is removed with the application
	}
}

// remove drops the history of a removed application (contract 5.2).
func (l *logFiles) remove(app string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir := l.cfg.logDir(app)
	for path, f := range l.open {
		if filepath.Dir(path) == dir {
			f.mu.Lock()
			f.shut()
			f.done = true
			f.mu.Unlock()
			delete(l.open, path)
		}
	}
	_ = os.RemoveAll(dir) // an application of the same id starts with an empty history
}

func (l *logFiles) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.open {
		f.flush()
	}
}

// Logs returns the last tail lines (-1: all) of each stream of the living
// replicas of an application and of the newest previous dead ones (-1: all),
// by deployment and replica id.
func (m *Manager) Logs(ctx context.Context, id string, tail, previous int) (map[string]map[string]Log, error) {
	allocations, err := m.store.Allocations(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.Reverse(allocations) // newest first
	dead := map[string]int{}
	logs := map[string]map[string]Log{}
	for _, al := range allocations {
		if !al.Ended.IsZero() {
			dead[al.Deployment]++
			if previous >= 0 && dead[al.Deployment] > previous {
				continue
			}
		}
		if logs[al.Deployment] == nil {
			logs[al.Deployment] = map[string]Log{}
		}
		logs[al.Deployment][al.Replica] = m.readLog(al, tail)
	}
	return logs, nil
}

// readLog reads one replica's log. One that never wrote any has the batch
// system's output file as its stderr, and why it ended (contract 0.1 #16).
func (m *Manager) readLog(al store.Allocation, tail int) Log {
	if tail < 0 || tail > maxLogLines {
		tail = maxLogLines
	}
	log := Log{Created: al.Created, Timezone: al.Created.Format("MST"), Stdout: []string{}, Stderr: []string{}}
	path := m.logs.path(al.Application, al.Replica)
	for _, p := range []string{path + ".old", path} {
		if err := log.read(p, tail); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Stderr = append(log.Stderr, "Error retrieving logs: "+err.Error())
		}
	}
	if len(log.Stdout)+len(log.Stderr) == 0 {
		log.readJobFile(m.outputFile(al))
	}
	if !al.Ended.IsZero() && al.Cause != "" {
		log.Stderr = append(log.Stderr, "[bioengine] "+al.Cause)
	}
	log.Stdout, log.Stderr = lastLines(log.Stdout, tail), lastLines(log.Stderr, tail)
	return log
}

func (g *Log) read(path string, tail int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, link.MaxLogLine+64)
	for in.Scan() {
		stream, line, ok := parseLogLine(in.Text())
		if !ok {
			continue // cut short by a crash
		}
		to := &g.Stdout
		if stream == 2 {
			to = &g.Stderr
		}
		*to = append(*to, line)
		if len(*to) > 2*tail+1000 {
			*to = slices.Clone(lastLines(*to, tail))
		}
	}
	return in.Err()
}

// parseLogLine gives a stored line back with its local time in front, as the
// original shows it.
func parseLogLine(s string) (stream int, line string, ok bool) {
	when, rest, ok1 := strings.Cut(s, " ")
	which, text, ok2 := strings.Cut(rest, " ")
	ns, err := strconv.ParseInt(when, 10, 64)
	if !ok1 || !ok2 || err != nil {
		return 0, "", false
	}
	stream = 1
	if which == "2" {
		stream = 2
	}
	return stream, time.Unix(0, ns).Format("2006-01-02 15:04:05.000 ") + text, true
}

func (g *Log) readJobFile(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxJobFile {
		_, _ = f.Seek(-maxJobFile, io.SeekEnd)
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxJobFile)) // what could be read is better than nothing
	for line := range strings.Lines(string(b)) {
		g.Stderr = append(g.Stderr, strings.TrimRight(line, "\n"))
	}
}

func lastLines(lines []string, n int) []string {
	if len(lines) > n {
		return lines[len(lines)-n:]
	}
	return lines
}
