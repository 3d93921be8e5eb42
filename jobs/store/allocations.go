package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"
)

// Allocation is one Slurm job of ours with the replica that it runs.
type Allocation struct {
	ID, Application, Deployment, Replica, Tag string
	Revision                                  int64
	State                                     string // see jobs: submitting, submitted, stopping, ended
	Job                                       string // the batch system's id, "" until the submission was answered
	TokenHash, KeyHash                        []byte // SHA-256; KeyHash is empty until an agent joined
	Created, Ended                            time.Time
	Cause                                     string // why it ended
	Ready                                     []byte // what the replica said when it became ready, JSON
}

// ErrTokenUsed says that another agent joined with this token before.
var ErrTokenUsed = errors.New("the join token has been used")

const allocationColumns = `id, application, revision, deployment, replica, tag, state, job, token_hash, key_hash, created, ended, cause, ready`

// AddAllocation inserts a new allocation before its job is submitted.
func (s *Store) AddAllocation(ctx context.Context, a Allocation) error {
	return s.update(ctx, "store allocation "+a.ID, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO allocations (id, application, revision, deployment, replica, tag, state, token_hash, created) VALUES (?,?,?,?,?,?,?,?,?)`,
			a.ID, a.Application, a.Revision, a.Deployment, a.Replica, a.Tag, a.State, a.TokenHash, a.Created.UnixNano())
		return err
	})
}

// SetJob records the answer to a submission.
func (s *Store) SetJob(ctx context.Context, id, job, state string) error {
	return s.update(ctx, "store job of allocation "+id, func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE allocations SET job=?, state=? WHERE id=?`, job, state, id))
	})
}

// SetState moves an allocation on; cause is kept when it is not empty.
func (s *Store) SetState(ctx context.Context, id, state, cause string) error {
	return s.update(ctx, "store state of allocation "+id, func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE allocations SET state=?, cause=CASE WHEN ?='' THEN cause ELSE ? END WHERE id=?`, state, cause, cause, id))
	})
}

// SetReady keeps what a replica offers, so that a restarted controller can
// describe it before its agent dials in again.
func (s *Store) SetReady(ctx context.Context, id string, ready []byte) error {
	return s.update(ctx, "store offer of allocation "+id, func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE allocations SET ready=? WHERE id=?`, ready, id))
	})
}

// EndAllocation closes an allocation for good.
func (s *Store) EndAllocation(ctx context.Context, id, state, cause string, at time.Time) error {
	return s.update(ctx, "end allocation "+id, func(tx *sql.Tx) error {
		return expectRow(tx.ExecContext(ctx, `UPDATE allocations SET state=?, cause=?, ended=?, ready=x'' WHERE id=?`, state, cause, at.UnixNano(), id))
	})
}

// PruneEnded keeps the newest keep ended allocations of each deployment and
// returns the replicas whose rows it deleted.
func (s *Store) PruneEnded(ctx context.Context, application, deployment string, keep int) (replicas []string, err error) {
	err = s.update(ctx, "prune ended allocations of "+application, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `DELETE FROM allocations WHERE id IN (SELECT id FROM allocations
			WHERE application=? AND deployment=? AND ended>0 ORDER BY created DESC LIMIT -1 OFFSET ?) RETURNING replica`, application, deployment, keep)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r string
			if err := rows.Scan(&r); err != nil {
				return err
			}
			replicas = append(replicas, r)
		}
		return rows.Err()
	})
	return replicas, err
}

// Bind ties an allocation to the agent that came with its join token: token
// and key are bound in one transaction. The same pair again is accepted, as
// the answer to the first may have been lost; the token with another key is
// ErrTokenUsed. A wrong token is ErrNotFound.
func (s *Store) Bind(ctx context.Context, id string, tokenHash, keyHash []byte) error {
	return s.update(ctx, "join allocation "+id, func(tx *sql.Tx) error {
		var bound []byte
		err := tx.QueryRowContext(ctx, `SELECT key_hash FROM allocations WHERE id=? AND token_hash=? AND ended=0`, id, tokenHash).Scan(&bound)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if len(bound) > 0 {
			if !bytes.Equal(bound, keyHash) {
				return ErrTokenUsed
			}
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE allocations SET key_hash=? WHERE id=?`, keyHash, id)
		return err
	})
}

// Allocations returns all rows of an application ("" for every one), oldest
// first.
func (s *Store) Allocations(ctx context.Context, application string) ([]Allocation, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+allocationColumns+` FROM allocations WHERE ?='' OR application=? ORDER BY created`, application, application)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Allocation
	for rows.Next() {
		a, err := scanAllocation(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

func scanAllocation(rows *sql.Rows) (a Allocation, err error) {
	var created, ended int64
	err = rows.Scan(&a.ID, &a.Application, &a.Revision, &a.Deployment, &a.Replica, &a.Tag, &a.State, &a.Job,
		&a.TokenHash, &a.KeyHash, &created, &ended, &a.Cause, &a.Ready)
	a.Created = time.Unix(0, created)
	if ended > 0 {
		a.Ended = time.Unix(0, ended)
	}
	return a, err
}
