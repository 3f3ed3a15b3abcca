package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

// unwitnessedLong is for how long a leaf may be without a cosignature before
// somebody should look: a city that is cut off goes on, and this tells for how long.
const unwitnessedLong = time.Hour

// witnessState is what came of asking the witness last.
type witnessState struct {
	mu      sync.Mutex
	refused bus.Code
}

func (w *witnessState) tell(s *Server, err error) {
	code := bus.CodeOf(err)
	w.mu.Lock()
	before := w.refused
	switch {
	case err == nil:
		w.refused = ""
	case code == bus.CodeEvidence || code == bus.CodeForbidden:
		w.refused = code
	}
	news := w.refused != before
	w.mu.Unlock()
	switch {
	case err == nil:
	case news:
		s.logger.Error("the witness refuses this node's evidence log", "error", err)
	default:
		s.logger.Debug("evidence is not cosigned", "error", err)
	}
}

// witnessOf gives the node that cosigns for another, with its key: the one above, or
// at the top the first other; empty where there is none.
func witnessOf(tx *state.Tx, id bus.NodeID) (witness bus.Node) {
	if above, ok := tx.Parent(id); ok {
		witness, _ = tx.Node(above)
		return witness
	}
	for n := range tx.Nodes() {
		if n.ID != id {
			return n
		}
	}
	return bus.Node{}
}

// askWitness has a head of this node's log cosigned, and keeps that. The head comes
// back as it is where nobody cosigns it.
func (s *Server) askWitness(ctx context.Context, head bus.Checkpoint) (bus.Checkpoint, error) {
	var witness bus.Node
	err := s.state.View(func(tx *state.Tx) error {
		witness = witnessOf(tx, s.self.Node)
		return nil
	})
	if err != nil || witness.ID == "" {
		return head, err
	}
	var old int64
	err = s.store.View(func(tx *bbolt.Tx) error {
		last, _, err := s.log.Witnessed(tx)
		old = last.Size
		return err
	})
	if err != nil {
		return head, err
	}
	if old == head.Size {
		if who, err := audit.Cosignatures(head.Note, witness.EvidenceKey); err != nil || len(who) > 0 {
			return head, err
		}
	}
	lines, err := s.submit(ctx, witness.ID, head, old)
	if conflict, ok := errors.AsType[*audit.Conflict](err); ok && conflict.Size <= head.Size && conflict.Size != old {
		lines, err = s.submit(ctx, witness.ID, head, conflict.Size) // it is another witness now, or this node forgot
	}
	if _, ok := errors.AsType[*audit.Conflict](err); ok {
		err = bus.E(bus.CodeEvidence, bus.Defect{
			Field: "witness", Problem: bus.Text{ZH: "见证节点 " + string(witness.ID) + " 已联署另一个存证日志", EN: "witness " + string(witness.ID) + " has cosigned another log by this name"},
			Allowed: "a log that extends what was cosigned; keep the file as it is and call the auditor",
		}).Because(err)
	}
	if err != nil {
		return head, err
	}
	cosigned := head
	err = s.store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
		cosigned, err = s.log.Cosigned(tx, head, lines, s.self.verifier, witness.EvidenceKey)
		return err
	})
	return cosigned, err
}

func (s *Server) submit(ctx context.Context, witness bus.NodeID, head bus.Checkpoint, old int64) (string, error) {
	var submission audit.Submission
	err := s.store.View(func(tx *bbolt.Tx) (err error) {
		submission, err = s.log.Submission(tx, head, old)
		return err
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s.mesh.Cosign(ctx, witness, submission)
}

// Cosign is asked by another node to cosign a head of its log.
func (s *Server) Cosign(ctx context.Context, from bus.NodeID, submission audit.Submission) (line string, err error) {
	var node bus.Node
	err = s.state.View(func(tx *state.Tx) error {
		node, _ = tx.Node(from)
		return nil
	})
	if err != nil {
		return "", err
	}
	if node.ID == "" {
		return "", bus.NotFound("node", string(from))
	}
	var refused error
	err = s.store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
		var found *audit.Contradiction
		line, found, refused, err = s.cosigner.Witness(tx, audit.Origin(s.self.Cluster, from), node.EvidenceKey, submission, s.now())
		if err != nil || found == nil {
			return err
		}
		s.logger.Error("an evidence log contradicts what was cosigned of it", "node", from, "size", found.Size, "cosigned", found.Witnessed, "forked", found.Forked)
		_, err = s.log.Append(tx, audit.Record{
			Kind: audit.KindRefused, At: s.now(), Principal: bus.Principal{Node: from}, Code: bus.CodeEvidence, Detail: found.String(),
		})
		return err
	})
	return line, errors.Join(err, refused)
}

// witnessed tells how far this node's log is cosigned.
func (s *Server) witnessed() (w client.Witness, err error) {
	var witness bus.Node
	err = s.state.View(func(tx *state.Tx) error {
		witness = witnessOf(tx, s.self.Node)
		return nil
	})
	if err != nil {
		return w, err
	}
	err = s.store.View(func(tx *bbolt.Tx) error {
		w, err = howWitnessed(tx, s.log, witness)
		return err
	})
	w.Late = w.Node != "" && !w.Since.IsZero() && s.now().Sub(w.Since) >= unwitnessedLong
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	w.Refused = s.witness.refused
	return w, err
}

func howWitnessed(tx *bbolt.Tx, log *audit.Log, witness bus.Node) (w client.Witness, err error) {
	w.Node = witness.ID
	if w.Leaves, err = log.Size(tx); err != nil {
		return w, err
	}
	last, ok, err := log.Witnessed(tx)
	if err != nil {
		return w, err
	}
	if ok && witness.ID != "" {
		who, err := audit.Cosignatures(last.Note, witness.EvidenceKey)
		if err != nil {
			return w, err
		}
		if len(who) > 0 { // else it was by a witness of before
			w.Size, w.At = last.Size, who[0].At
		}
	}
	if w.Size < w.Leaves {
		first, err := log.Record(tx, w.Size)
		if err != nil {
			return w, err
		}
		w.Since = first.At
	}
	return w, nil
}

// contradictions are what this node refused of the logs of others.
func (s *Server) contradictions() (found []audit.Contradiction, err error) {
	err = s.store.View(func(tx *bbolt.Tx) error {
		found, err = audit.Contradictions(tx)
		return err
	})
	return found, err
}
