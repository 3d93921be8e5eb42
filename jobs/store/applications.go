package store

import (
	"context"
	"database/sql"
	"errors"
)

// Application is one row: what to run (Spec, JSON), the worker's own Record,
// and the secrets, which live in a column of their own and nowhere else.
type Application struct {
	ID                    string
	Revision              int64
	Spec, Record, Secrets []byte
	Removing              bool
}

// ErrNotFound says that no such row exists.
var ErrNotFound = errors.New("not in the store")

// PutApplication inserts or replaces an application and clears Removing.
func (s *Store) PutApplication(ctx context.Context, a Application) error {
	return s.update(ctx, "store application "+a.ID, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO applications (id, revision, spec, record, secrets, removing) VALUES (?,?,?,?,?,0)
			ON CONFLICT (id) DO UPDATE SET revision=excluded.revision, spec=excluded.spec, record=excluded.record, secrets=excluded.secrets, removing=0`,
			a.ID, a.Revision, a.Spec, a.Record, a.Secrets)
		return err
	})
}

// SetRecord replaces the worker's record of an application.
func (s *Store) SetRecord(ctx context.Context, id string, record []byte) error {
	return s.update(ctx, "store record of "+id, func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE applications SET record=? WHERE id=?`, record, id))
	})
}

// SetRemoving marks an application as on its way out, so that a restarted
// controller goes on removing it.
func (s *Store) SetRemoving(ctx context.Context, id string) error {
	return s.update(ctx, "mark "+id+" as removed", func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE applications SET removing=1 WHERE id=?`, id))
	})
}

// DeleteApplication forgets an application and its allocations.
func (s *Store) DeleteApplication(ctx context.Context, id string) error {
	return s.update(ctx, "forget application "+id, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM allocations WHERE application=?`, id); err != nil {
			return err
		}
		return expectRow(tx.ExecContext(ctx, `DELETE FROM applications WHERE id=?`, id))
	})
}

// Applications returns all rows, oldest first.
func (s *Store) Applications(ctx context.Context) ([]Application, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, revision, spec, record, secrets, removing FROM applications ORDER BY rowid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Application
	for rows.Next() {
		var a Application
		if err := rows.Scan(&a.ID, &a.Revision, &a.Spec, &a.Record, &a.Secrets, &a.Removing); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

func expectRow(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return ErrNotFound
	}
	return nil
}
