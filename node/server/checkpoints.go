package server

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// publishCheckpoints makes the head of the evidence log known to the whole bus:
// every node then holds what this one can no longer take back.
func (s *Server) publishCheckpoints(ctx context.Context) {
	timer := time.NewTicker(s.config.CheckpointInterval)
	defer timer.Stop()
	for {
		if err := s.publishCheckpoint(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("publish evidence checkpoint", "error", err)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// extends refuses an evidence log that does not begin with what the whole bus
// knows of it: the file was rolled back, or rewritten.
func (s *Server) extends(tx *bbolt.Tx, size int64, known bus.Checkpoint) error {
	if known.Size == 0 {
		return nil
	}
	forked := bus.E(bus.CodeEvidence, bus.Defect{
		Field:   "exchange.db",
		Problem: bus.Text{ZH: "存证日志与全网已登记的检查点不符，文件可能被回退或改写", EN: "the evidence log is not the one that the bus has a checkpoint of: the file was rolled back or rewritten"},
		Allowed: fmt.Sprintf("a log that begins with the %d leaves known; keep the file as it is and call the auditor", known.Size),
	})
	if size < known.Size {
		return forked
	}
	hashes, err := s.log.Hashes(tx)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(known.Size, hashes)
	if err != nil {
		return err
	}
	if !bytes.Equal(root[:], known.Root) {
		return forked
	}
	return nil
}

func (s *Server) publishCheckpoint(ctx context.Context) error {
	var known bus.Checkpoint
	empty := false
	err := s.state.View(func(tx *state.Tx) error {
		known, _ = tx.Checkpoint(s.self.Node)
		return nil
	})
	if err != nil {
		return err
	}
	err = s.store.View(func(tx *bbolt.Tx) error {
		size, err := s.log.Size(tx)
		empty = size == 0
		if err != nil {
			return err
		}
		return s.extends(tx, size, known)
	})
	if bus.CodeOf(err) == bus.CodeEvidence {
		s.halt(err) // sequence numbers and evidence would be given out twice
	}
	if err != nil || empty {
		return err
	}
	head, err := s.cosignedHead(ctx)
	if err != nil || head.Note == known.Note {
		return err
	}
	entry, err := command.New(command.CheckpointPut, bus.Principal{Node: s.self.Node}, "", 0, head)
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	return err
}
