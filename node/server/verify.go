package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// VerifyEvidence checks the evidence log in the data directory of a node that is
// not running, against the node's own key and what its directory replica knows
// of the log. It writes nothing.
func VerifyEvidence(dir DataDir) (report audit.Report, err error) {
	secret, err := identity.ReadPrivate(dir.path("evidence.key"))
	if err != nil {
		return report, fmt.Errorf("read evidence key: %w", err)
	}
	_, verifier, err := audit.OpenKey(string(secret))
	if err != nil {
		return report, err
	}
	db, err := bbolt.Open(dir.ExchangeFile(), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return report, running(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return report, db.View(func(tx *bbolt.Tx) error {
		log, err := audit.OpenExisting(tx)
		if err != nil {
			return err
		}
		if _, err := dir.attach(log); err != nil {
			return err
		}
		known, err := knownCheckpoints(dir, log.Node())
		if err != nil {
			return err
		}
		report, err = log.Verify(tx, known, verifier)
		return err
	})
}

func knownCheckpoints(dir DataDir, node bus.NodeID) (known []bus.Checkpoint, err error) {
	replica, err := state.OpenReadOnly(dir.path(partReplica))
	if err != nil {
		return nil, running(err)
	}
	defer func() { err = errors.Join(err, replica.Close()) }()
	return known, replica.View(func(tx *state.Tx) error {
		if c, ok := tx.Checkpoint(node); ok {
			known = append(known, c)
		}
		return nil
	})
}

// running explains a file that a running node holds.
func running(err error) error {
	if !errors.Is(err, bolterrors.ErrTimeout) {
		return err
	}
	return bus.E(bus.CodeInUse, bus.Defect{
		Field: "data_dir", Problem: bus.Text{ZH: "节点正在运行", EN: "the node is running"}, Allowed: "gxbus audit verify without --data-dir, or stop the node",
	}).Because(err)
}
