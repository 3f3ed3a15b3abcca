package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Rollups and reports are kept in the exchange file, so that they are in its backup:
// rollups at the node that evaluates, by node and day; reports by id (ADR 0024).
var (
	bucketRollups = []byte("evaluation-rollups")
	bucketReports = []byte("evaluation-reports")
)

const (
	collectPeriod = time.Hour
	collectDays   = 92 // that are asked for when they are not there yet
	daysAtOnce    = 7  // of rollups in one answer of another node
	readAtOnce    = 500
)

// RollupsHere is rollups for the node that evaluates.
func (s *Server) RollupsHere(ctx context.Context, from bus.NodeID, q mesh.RollupQuery) (mesh.RollupAnswer, error) {
	if err := s.tells(ctx, from, "rollups", topmost(from)); err != nil {
		return mesh.RollupAnswer{}, err
	}
	return s.rollups(q)
}

// rollups derives what this node's evidence says of days, and signs it.
func (s *Server) rollups(q mesh.RollupQuery) (mesh.RollupAnswer, error) {
	first, errFirst := calendar.ParseDate(q.First)
	last, errLast := calendar.ParseDate(q.Last)
	if errFirst != nil || errLast != nil || last < first || last-first >= collectDays {
		return mesh.RollupAnswer{}, bus.Invalid([]bus.Defect{{Field: "first", Problem: bus.Text{ZH: "日期范围不正确", EN: "not a range of days"}, Allowed: fmt.Sprint("at most ", collectDays, " days")}})
	}
	var days []calendar.Date
	for day := first; day <= last && !evaluation.Closes(day).After(s.now()); day++ {
		days = append(days, day)
	}
	if len(days) == 0 {
		return mesh.RollupAnswer{}, nil
	}
	var rollups []evaluation.Rollup
	err := s.store.View(func(tx *bbolt.Tx) error {
		from, to, err := s.leavesOf(tx, days)
		if err != nil {
			return err
		}
		rollups, err = evaluation.Derive(s.self.Node, s.log.Records(tx, from, to), days)
		return err
	})
	for i := range rollups {
		if err == nil {
			rollups[i], err = rollups[i].Sign(s.self.signer)
		}
	}
	return mesh.RollupAnswer{Rollups: rollups}, err
}

// leavesOf finds the leaves that bear on days, by their times.
func (s *Server) leavesOf(tx *bbolt.Tx, days []calendar.Date) (from, to int64, err error) {
	size, err := s.log.Size(tx)
	if err != nil {
		return 0, 0, err
	}
	find := func(at time.Time) int64 {
		return int64(sort.Search(int(size), func(n int) bool {
			r, failed := s.log.Record(tx, int64(n))
			if failed != nil {
				err = failed
			}
			return failed != nil || !r.At.Before(at)
		}))
	}
	const slack = time.Hour // a clock may have been set back
	from, to = find(evaluation.Opens(days[0]).Add(-slack)), find(evaluation.Closes(days[len(days)-1]).Add(2*slack))
	return from, to, err
}

// collectRollups fetches, at the node of the topmost division, what the others'
// evidence says of each day once that is closed: a node that is down when the report
// is made has then reported all the same.
func (s *Server) collectRollups(ctx context.Context) {
	timer := time.NewTicker(collectPeriod)
	defer timer.Stop()
	for {
		if s.evaluates() {
			today := calendar.DateOf(s.now())
			s.collect(ctx, evaluation.Window{From: (today - collectDays).Start(), To: today.Start()}, nil)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// evaluates reports whether this node is that of a division without one above.
func (s *Server) evaluates() bool { return s.state.View(topmost(s.self.Node)) == nil }

// topmost refuses a node that is not of a division without one above: those alone
// evaluate. CodeWrongNode.
func topmost(id bus.NodeID) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		n, _ := tx.Node(id)
		if d, ok := tx.Division(n.Division); ok && d.Parent == "" {
			return nil
		}
		return bus.E(bus.CodeWrongNode, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "由最高一级区划的节点评价", EN: "the node of the topmost division evaluates"}, Allowed: "a node of the topmost division, see gxbus node list",
		})
	}
}

// collect fetches what is not kept yet of a window's closed days.
func (s *Server) collect(ctx context.Context, w evaluation.Window, told *steps) {
	var nodes []bus.Node
	if err := s.state.View(func(tx *state.Tx) error {
		for n := range tx.Nodes() {
			nodes = append(nodes, n)
		}
		return nil
	}); err != nil {
		s.logger.Warn("collect rollups", "error", err)
		return
	}
	days := len(w.Days())
	told.stage(client.StageCollect, days*len(nodes))
	const callers = 4
	queue := make(chan bus.Node)
	var workers sync.WaitGroup
	for range callers {
		workers.Go(func() {
			for n := range queue {
				left, err := s.collectFrom(ctx, n, w, told)
				told.add(left) // that cannot be had
				if err != nil && ctx.Err() == nil {
					s.logger.Warn("collect rollups", "node", n.ID, "error", err)
				}
			}
		})
	}
	for _, n := range nodes {
		queue <- n
	}
	close(queue)
	workers.Wait()
}

// collectFrom fetches that from one node; left are the days that it did not come to.
func (s *Server) collectFrom(ctx context.Context, n bus.Node, w evaluation.Window, told *steps) (left int, err error) {
	days := w.Days()
	for ; len(days) > 0 && ctx.Err() == nil; days = days[min(daysAtOnce, len(days)):] {
		chunk := days[:min(daysAtOnce, len(days))]
		if err := s.collectDays(ctx, n, chunk); err != nil {
			return len(days), err
		}
		told.add(len(chunk))
	}
	return len(days), ctx.Err()
}

func (s *Server) collectDays(ctx context.Context, n bus.Node, days []calendar.Date) error {
	lacking, err := s.lacking(n.ID, days)
	if err != nil || len(lacking) == 0 {
		return err
	}
	q := mesh.RollupQuery{First: lacking[0].String(), Last: lacking[len(lacking)-1].String()}
	var answer mesh.RollupAnswer
	if n.ID == s.self.Node {
		answer, err = s.rollups(q)
	} else {
		answer, err = s.mesh.Rollups(ctx, n.ID, q)
	}
	if err != nil {
		return err
	}
	return s.keepRollups(ctx, n, answer.Rollups)
}

func rollupKey(node bus.NodeID, day string) []byte { return []byte(string(node) + "/" + day) }

// lacking lists the closed days of which no rollup of a node is kept.
func (s *Server) lacking(node bus.NodeID, days []calendar.Date) (lacking []calendar.Date, err error) {
	return lacking, s.store.View(func(tx *bbolt.Tx) error {
		kept := tx.Bucket(bucketRollups)
		for _, day := range days {
			if evaluation.Closes(day).After(s.now()) || kept != nil && kept.Get(rollupKey(node, day.String())) != nil {
				continue
			}
			lacking = append(lacking, day)
		}
		return nil
	})
}

// keepRollups keeps what a node said, the first word for good: its signature is on
// it. One that is not signed by the node is as good as none.
func (s *Server) keepRollups(ctx context.Context, n bus.Node, rollups []evaluation.Rollup) error {
	for _, r := range rollups {
		if err := r.Check(); err != nil {
			return err
		}
		if r.Node != n.ID {
			return bus.E(bus.CodeEvidence, bus.Defect{Field: "node", Problem: bus.Text{ZH: "是另一个节点的日汇总", EN: "a rollup of another node"}})
		}
		if err := r.Verify(n.EvidenceKey); err != nil {
			return err
		}
	}
	return s.store.Commit(ctx, func(tx *bbolt.Tx) error {
		kept, err := tx.CreateBucketIfNotExists(bucketRollups)
		if err != nil {
			return err
		}
		for _, r := range rollups {
			data, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if key := rollupKey(r.Node, r.Day); kept.Get(key) == nil {
				if err := kept.Put(key, data); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Material reads what a report about a window is made of, as far as this node has it.
func (s *Server) Material(ctx context.Context, w evaluation.Window) (*evaluation.Material, error) {
	return s.material(ctx, w, false, nil)
}

// material reads what a report about a window is made of. What is not kept yet it
// derives of its own evidence; the other nodes it asks, where ask is set.
func (s *Server) material(ctx context.Context, w evaluation.Window, ask bool, told *steps) (m *evaluation.Material, err error) {
	if ask {
		s.collect(ctx, w, told)
	} else if _, err := s.collectFrom(ctx, bus.Node{ID: s.self.Node, EvidenceKey: s.self.verifier}, w, nil); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.state.View(func(tx *state.Tx) error {
		m = evaluation.ReadDirectory(tx)
		return nil
	}); err != nil {
		return nil, err
	}
	return m, s.store.View(func(tx *bbolt.Tx) error {
		kept := tx.Bucket(bucketRollups)
		if kept == nil {
			return nil
		}
		var stored [][]byte // as long as tx is open
		for _, n := range m.Directory.Nodes {
			for _, day := range w.Days() {
				if data := kept.Get(rollupKey(n.ID, day.String())); data != nil {
					stored = append(stored, data)
				}
			}
		}
		told.stage(client.StageRead, len(stored))
		for some := range slices.Chunk(stored, readAtOnce) {
			if err := m.Rollups.Read(some); err != nil {
				return err
			}
			told.add(len(some))
		}
		return nil
	})
}

// Evaluations are the reports that are kept here, by id.
func (s *Server) Evaluations() (reports []evaluation.Report, err error) {
	return reports, s.store.View(func(tx *bbolt.Tx) error {
		kept := tx.Bucket(bucketReports)
		if kept == nil {
			return nil
		}
		return kept.ForEach(func(_, data []byte) error {
			r, err := evaluation.DecodeReport(data)
			reports = append(reports, r)
			return err
		})
	})
}
