// Package store keeps what must survive a crash of the controller: the
// applications, their secrets, and every allocation with its identity. It is
// one SQLite file in the state directory, written through one connection with
// a rollback journal and synchronous=FULL, because state directories lie on
// network filesystems where write-ahead logs and file locks are unreliable
// (design 3). A lease (lease.go) says which controller may write; every
// transaction checks that it is still ours.
//
// Imported by jobs and cmd/bioengine-hpc.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the database driver
)

// ErrLeaseLost says that another controller took the state directory over.
var ErrLeaseLost = errors.New("another controller took over this state directory")

// Store is an open state directory. Its methods may be called from any
// goroutine; they run one at a time.
type Store struct {
	db       *sql.DB
	lease    *Lease
	instance string
}

const schema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS applications (
	id TEXT PRIMARY KEY,
	revision INTEGER NOT NULL,
	spec BLOB NOT NULL,
	record BLOB NOT NULL,
	secrets BLOB NOT NULL,
	removing INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS allocations (
	id TEXT PRIMARY KEY,
	application TEXT NOT NULL,
	revision INTEGER NOT NULL,
	deployment TEXT NOT NULL,
	replica TEXT NOT NULL,
	tag TEXT NOT NULL UNIQUE,
	state TEXT NOT NULL,
	job TEXT NOT NULL DEFAULT '',
	token_hash BLOB NOT NULL,
	key_hash BLOB NOT NULL DEFAULT x'',
	created INTEGER NOT NULL,
	ended INTEGER NOT NULL DEFAULT 0,
	cause TEXT NOT NULL DEFAULT '',
	ready BLOB NOT NULL DEFAULT x''
);
CREATE INDEX IF NOT EXISTS allocations_by_application ON allocations (application, created);
`

// Open opens or creates the state in dir (made with mode 0700) under a lease
// that the caller holds, and writes the lease's epoch into it.
func Open(ctx context.Context, dir string, lease *Lease) (*Store, error) {
	path := filepath.Join(dir, "state.sqlite")
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	dsn := "file:" + path + "?_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=secure_delete(ON)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, lease: lease}
	if err := s.prepare(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	return s, nil
}

// createPrivate makes the database file before SQLite does, since SQLite
// would make it readable by everybody.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func (s *Store) prepare(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES ('instance', ?) ON CONFLICT DO NOTHING`, uuid.NewString()); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key='instance'`).Scan(&s.instance); err != nil {
		return err
	}
	var stored int64
	err = tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key='epoch'`).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if stored > s.lease.Epoch() {
		return ErrLeaseLost
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value`, s.lease.Epoch()); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file; the lease stays with its owner.
func (s *Store) Close() error { return s.db.Close() }

// Instance is the UUID of this state directory, made once, carried by every
// job's name and comment.
func (s *Store) Instance() string { return s.instance }

// Epoch is the number of the lease under which this process writes.
func (s *Store) Epoch() int64 { return s.lease.Epoch() }

// update runs f in one transaction that only commits while the lease is ours.
func (s *Store) update(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer tx.Rollback()
	var epoch int64
	if err := tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key='epoch'`).Scan(&epoch); err != nil {
		return fmt.Errorf("%s: read the epoch: %w", what, err)
	}
	if epoch != s.lease.Epoch() {
		return fmt.Errorf("%s: %w", what, ErrLeaseLost)
	}
	if err := f(tx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
