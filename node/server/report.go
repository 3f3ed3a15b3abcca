package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Evaluate makes the report that o has id and window of, or names the published one to
// restate of, by the scheme in force; it signs it, and keeps it where keep is set, telling
// meanwhile how far it has come. A report that is kept is not made again under its id.
func (s *Server) Evaluate(ctx context.Context, o evaluation.Order, keep bool) (evaluation.Report, error) {
	var told *steps
	if keep {
		if err := s.state.View(topmost(s.self.Node)); err != nil { // others tell nobody else
			return evaluation.Report{}, err
		}
		var err error
		if told, err = s.reporting.begin(o.ID); err != nil {
			return evaluation.Report{}, err
		}
		defer told.end()
	}
	kept, err := s.Evaluations()
	if err != nil {
		return evaluation.Report{}, err
	}
	if keep && slices.ContainsFunc(kept, func(r evaluation.Report) bool { return r.ID == o.ID }) {
		return evaluation.Report{}, bus.E(bus.CodeExists, bus.Defect{
			Field: "id", Problem: bus.Text{ZH: "报告 " + o.ID + " 已存在，不得重写", EN: "report " + o.ID + " is there, and is not written again"}, Allowed: "another id",
		})
	}
	if err := s.order(&o, kept); err != nil {
		return evaluation.Report{}, err
	}
	if err := bus.Invalid(o.Window.Check()); err != nil {
		return evaluation.Report{}, err
	}
	m, err := s.material(ctx, o.Window, keep, told)
	if err != nil {
		return evaluation.Report{}, err
	}
	told.stage(client.StageCompute, 0)
	r, err := m.Evaluate(o)
	if err != nil {
		return r, err
	}
	if keep {
		told.stage(client.StageName, 0)
		m.NameDifferences(&r, s.shown(ctx, told))
	}
	if r, err = r.Sign(s.self.signer); err != nil || !keep {
		return r, err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	return r, s.store.Commit(ctx, func(tx *bbolt.Tx) error {
		kept, err := tx.CreateBucketIfNotExists(bucketReports)
		if err != nil {
			return err
		}
		return kept.Put([]byte(r.ID), data)
	})
}

// order completes an order from what the directory says: the scheme in force, and of
// the reports that are kept those that are published. A restatement is about the
// window of what it restates, by the same scheme.
func (s *Server) order(o *evaluation.Order, kept []evaluation.Report) error {
	o.At, o.Node = s.now(), s.self.Node
	return s.state.View(func(tx *state.Tx) error {
		o.Scheme = evaluation.SchemeInForce(tx)
		restated := o.Restates == ""
		for _, r := range kept {
			published, ok := tx.PublishedReport(r.ID)
			if !ok || published.Digest != r.Digest() {
				continue
			}
			o.Before = append(o.Before, r)
			if r.ID == o.Restates {
				o.Window, o.Scheme, restated = r.Window, r.Scheme, true
			}
		}
		if !restated {
			return bus.NotFound("report", o.Restates)
		}
		return nil
	})
}

// Preview tells what a scheme would have made of a window.
func (s *Server) Preview(ctx context.Context, scheme bus.Scheme, w evaluation.Window) (evaluation.Effect, error) {
	o := evaluation.Order{ID: "preview", Window: w}
	if err := s.order(&o, nil); err != nil {
		return evaluation.Effect{}, err
	}
	m, err := s.Material(ctx, w)
	if err != nil {
		return evaluation.Effect{}, err
	}
	return m.Preview(o, scheme)
}

// maxShown is how many exchanges a node hands to the one that looks for a difference.
const maxShown = 20_000

// shown asks nodes for what their evidence shows.
func (s *Server) shown(ctx context.Context, told *steps) evaluation.Shown {
	return func(node bus.NodeID, about evaluation.About, days []calendar.Date) ([]evaluation.Exchange, error) {
		defer told.add(1)
		q := mesh.ExchangeQuery{About: about}
		for _, day := range days {
			q.Days = append(q.Days, day.String())
		}
		ask := s.mesh.Exchanges
		if node == s.self.Node {
			ask = s.ExchangesHere
		}
		answer, err := ask(ctx, node, q)
		if err != nil {
			s.logger.Warn("ask for the exchanges behind a difference", "node", node, "error", err)
		}
		return answer.Exchanges, err
	}
}

// ExchangesHere gives the exchanges of days that this node's evidence shows, to the
// node that evaluates and no other.
func (s *Server) ExchangesHere(ctx context.Context, from bus.NodeID, q mesh.ExchangeQuery) (mesh.ExchangeAnswer, error) {
	var answer mesh.ExchangeAnswer
	if err := s.tells(ctx, from, "exchanges of days", topmost(from)); err != nil {
		return answer, err
	}
	var days []calendar.Date
	for _, text := range q.Days {
		day, err := calendar.ParseDate(text)
		if err != nil || len(q.Days) > collectDays {
			return answer, bus.Invalid([]bus.Defect{{Field: "days", Problem: bus.Text{ZH: "日期不正确", EN: "not days"}, Allowed: fmt.Sprint("at most ", collectDays, " days, as 2026-03-01")}})
		}
		days = append(days, day)
	}
	if len(days) == 0 {
		return answer, nil
	}
	slices.Sort(days)
	days = slices.Compact(days)
	err := s.store.View(func(tx *bbolt.Tx) error {
		from, to, err := s.leavesOf(tx, days)
		if err != nil {
			return err
		}
		all, err := evaluation.Exchanges(s.log.Records(tx, from, to), days...)
		answer.Exchanges = slices.DeleteFunc(all, func(x evaluation.Exchange) bool { return !q.About.Matches(x) })
		return err
	})
	if len(answer.Exchanges) > maxShown {
		return mesh.ExchangeAnswer{}, errors.Join(err, bus.E(bus.CodeTooLarge))
	}
	return answer, err
}
