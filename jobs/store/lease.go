package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Lease is the right to act for a state directory. Lease n is the file
// lease.n, made by link(2), which fails when the name exists and, unlike file
// locks, tells the truth on network filesystems. The highest number rules.
type Lease struct {
	dir   string
	epoch int64
	me    holder
}

// holder is what a lease file says of its owner. Start tells a process from a
// later one with the same pid.
type holder struct {
	Host   string    `json:"host"`
	BootID string    `json:"boot_id"`
	PID    int       `json:"pid"`
	Start  string    `json:"start"`
	Beat   time.Time `json:"beat"`
}

// Held says who holds the lease now.
type Held struct {
	Host string
	PID  int
	Beat time.Time
}

func (h *Held) Error() string {
	return fmt.Sprintf("another controller holds this state directory: pid %d on host %s, last seen %s", h.PID, h.Host, h.Beat.Format(time.RFC3339))
}

const (
	leaseBeat  = 10 * time.Second
	leaseStale = 60 * time.Second // longer than clock differences between login nodes
)

// Acquire takes the lease of dir (made with mode 0700 when missing). A holder
// on this machine that is dead loses it at once; one elsewhere when its
// heartbeat is older than a minute. Otherwise the error is a *Held.
func Acquire(dir string) (*Lease, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	me, err := self()
	if err != nil {
		return nil, err
	}
	for range 10 {
		epoch, last, err := newest(dir)
		if err != nil {
			return nil, err
		}
		if last != nil && last.alive(me) {
			return nil, &Held{Host: last.Host, PID: last.PID, Beat: last.Beat}
		}
		l := &Lease{dir: dir, epoch: epoch + 1, me: me}
		if err := l.claim(); errors.Is(err, fs.ErrExist) {
			continue // somebody was faster; look again
		} else if err != nil {
			return nil, fmt.Errorf("take the lease: %w", err)
		}
		l.removeOlder()
		return l, nil
	}
	return nil, errors.New("take the lease: other controllers keep taking it")
}

// Epoch is the lease's number.
func (l *Lease) Epoch() int64 { return l.epoch }

// Keep writes the heartbeat until ctx ends, and returns ErrLeaseLost as soon
// as a newer lease exists.
func (l *Lease) Keep(ctx context.Context) error {
	tick := time.NewTicker(leaseBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		epoch, _, err := newest(l.dir)
		if err == nil && epoch > l.epoch {
			return ErrLeaseLost
		}
		// A full or slow disk must not end a healthy controller: a missed
		// heartbeat matters only if somebody else wants the lease.
		_ = l.beat()
	}
}

// Release lets another controller take over at once.
func (l *Lease) Release() error {
	l.me.Beat = time.Time{}
	l.me.PID = 0
	return l.write(l.path())
}

func (l *Lease) path() string { return filepath.Join(l.dir, "lease."+strconv.FormatInt(l.epoch, 10)) }

func (l *Lease) claim() error {
	tmp := filepath.Join(l.dir, fmt.Sprintf(".lease-%s-%d-%d", l.me.Host, l.me.PID, time.Now().UnixNano()))
	defer os.Remove(tmp)
	l.me.Beat = time.Now()
	if err := l.write(tmp); err != nil {
		return err
	}
	return os.Link(tmp, l.path())
}

func (l *Lease) beat() error {
	l.me.Beat = time.Now()
	tmp := filepath.Join(l.dir, fmt.Sprintf(".beat-%s-%d", l.me.Host, l.me.PID))
	if err := l.write(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, l.path())
}

func (l *Lease) write(path string) error {
	b, err := json.Marshal(l.me)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func (l *Lease) removeOlder() {
	names, _ := filepath.Glob(filepath.Join(l.dir, "lease.*"))
	for _, name := range names {
		if n, err := leaseNumber(name); err == nil && n < l.epoch {
			_ = os.Remove(name) // an old file does no harm
		}
	}
}

// newest returns the highest lease number (0: none) and its holder (nil: the
// file cannot be read, as after a crash of the machine).
func newest(dir string) (int64, *holder, error) {
	names, err := filepath.Glob(filepath.Join(dir, "lease.*"))
	if err != nil {
		return 0, nil, err
	}
	var top int64
	var path string
	for _, name := range names {
		if n, err := leaseNumber(name); err == nil && n > top {
			top, path = n, name
		}
	}
	if top == 0 {
		return 0, nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return top, nil, fmt.Errorf("read the lease: %w", err)
	}
	var h holder
	if json.Unmarshal(b, &h) != nil {
		return top, nil, nil
	}
	return top, &h, nil
}

func leaseNumber(path string) (int64, error) {
	return strconv.ParseInt(strings.TrimPrefix(filepath.Base(path), "lease."), 10, 64)
}

func (h *holder) alive(me holder) bool {
	if h.PID == 0 {
		return false // released
	}
	if h.Host == me.Host && h.BootID == me.BootID {
		start, err := processStart(h.PID)
		return err == nil && start == h.Start
	}
	return time.Since(h.Beat) < leaseStale
}

func self() (holder, error) {
	host, err := os.Hostname()
	if err != nil {
		return holder{}, fmt.Errorf("read the host name: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return holder{}, fmt.Errorf("read the boot id: %w", err)
	}
	start, err := processStart(os.Getpid())
	if err != nil {
		return holder{}, err
	}
	return holder{Host: host, BootID: strings.TrimSpace(string(boot)), PID: os.Getpid(), Start: start}, nil
}

// processStart is the start time of a process in clock ticks since boot,
// field 22 of /proc/PID/stat (proc(5)).
func processStart(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", fmt.Errorf("process %d: unreadable stat", pid)
	}
	return fields[19], nil
}
