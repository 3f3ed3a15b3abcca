package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/node/evidence"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// failover kills the leader and measures until the others take a write again.
func (s *story) failover(ctx context.Context) (told bus.Text, err error) {
	status, err := s.as("sysadmin").Status(ctx, false)
	if err != nil {
		return told, err
	}
	victim, survivor := s.fleet.Node(status.Leader), s.fleet.Node("guangzhou")
	if victim == survivor {
		survivor = s.fleet.Node("guangdong")
	}
	admin, err := s.fleet.SignIn(ctx, survivor, "sysadmin")
	if err != nil {
		return told, err
	}
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		return told, err
	}
	err = fleet.Until(ctx, "a new leader", func(ctx context.Context) error {
		_, err := admin.Departments().Put(ctx, bus.Department{ID: sample.USCC("440000", 90), Name: "故障切换后登记的部门（样例）", Division: "440000"})
		if client.IsCode(err, bus.CodeExists) {
			return nil // the attempt before was acknowledged too late for us to see
		}
		return err
	})
	if err != nil {
		return told, err
	}
	s.report.FailoverMillis = time.Since(killed).Milliseconds()
	if victim.ID() != "shenzhen" && victim.ID() != "guangzhou" { // the exchange needs these two
		if err := s.goesOn(ctx); err != nil {
			return told, err
		}
	}
	return bus.Text{
		ZH: fmt.Sprintf("强制终止 %s；%d 毫秒后目录恢复写入，交换照常（%d 条送达）", victim.ID(), s.report.FailoverMillis, s.report.DeliveredAfterFailover),
		EN: fmt.Sprintf("killed %s; the directory took writes again after %d ms, the exchange went on (%d delivered)", victim.ID(), s.report.FailoverMillis, s.report.DeliveredAfterFailover),
	}, nil
}

// goesOn exchanges some events.
func (s *story) goesOn(ctx context.Context) error {
	if err := s.publish(ctx, failoverEvents); err != nil {
		return err
	}
	events, err := s.receive(ctx, "guangzhou", sample.GuangzhouHealth, "health-registrations", failoverEvents)
	s.report.DeliveredAfterFailover += len(events)
	return err
}

func (s *story) recover(ctx context.Context) (told bus.Text, err error) {
	for _, n := range s.fleet.Nodes() {
		if err := n.Start(); err != nil {
			return told, err
		}
	}
	if err := fleet.Until(ctx, "the first node to serve", s.signIn); err != nil {
		return told, err
	}
	if err := s.fleet.WaitPlaces(ctx, s.as("sysadmin")); err != nil {
		return told, err
	}
	if err := s.lookAround(ctx); err != nil {
		return told, err
	}
	if s.report.DeliveredAfterFailover == 0 {
		if err := s.goesOn(ctx); err != nil {
			return told, err
		}
	}
	return bus.Text{ZH: "重新加入，目录追平，五个节点全部在线", EN: "it caught up by itself; all five nodes are in place"}, nil
}

// lookAround takes down the state of the nodes for the report.
func (s *story) lookAround(ctx context.Context) error {
	status, err := s.as("sysadmin").Status(ctx, false)
	if err != nil {
		return err
	}
	s.report.Nodes = nil
	for _, m := range status.Members {
		s.report.Nodes = append(s.report.Nodes, Node{m.ID, m.Division, m.Level, m.Suffrage, m.AppliedIndex, m.Leader, m.APIAddress})
	}
	return nil
}

func (s *story) verify(ctx context.Context) (told bus.Text, err error) {
	s.report.Evidence.Verified = true
	for _, n := range s.fleet.Nodes() {
		auditor, err := s.fleet.SignIn(ctx, n, "auditor")
		if err != nil {
			return told, err
		}
		report, err := evidence.VerifyNode(ctx, auditor)
		if err != nil {
			return told, err
		}
		s.report.Evidence.Nodes++
		s.report.Evidence.Leaves += report.Leaves
		if !report.Verified {
			s.report.Evidence.Verified = false
			return told, fmt.Errorf("the evidence of node %s does not verify: %s", n.ID(), report.Problem.EN)
		}
	}
	return bus.Text{
		ZH: fmt.Sprintf("%d 个节点共 %d 条存证，全部通过验证", s.report.Evidence.Nodes, s.report.Evidence.Leaves),
		EN: fmt.Sprintf("%d leaves on %d nodes, all verified", s.report.Evidence.Leaves, s.report.Evidence.Nodes),
	}, nil
}
