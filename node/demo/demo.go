// Package demo tells the story of the bus with five real nodes, each a process
// of its own on loopback: events cross three levels, are masked, denied,
// narrowed and stopped, a query is answered, a leader is killed, and the evidence of all verifies.
//
// It speaks to the nodes as anybody would, through their API. Its departments,
// systems and data are samples.
package demo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Options says how to run the demo.
type Options struct {
	Program string // this program's file
	Dir     string // for the nodes' data; must exist
	Events  int    // published before the revocation; at least 1,000 for the story to be told as written
	Tell    func(Step)
}

// Step is one step of the story.
type Step struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Detail string   `json:"detail"`
	Title  bus.Text `json:"-"`
	Told   bus.Text `json:"-"` // Detail in both languages
	Millis int64    `json:"ms"`
}

// Report is what the demo found.
type Report struct {
	OK                       bool                  `json:"ok"`
	Nodes                    []Node                `json:"nodes"`
	Resources                int                   `json:"resources"`
	Published                int                   `json:"published"` // to the story's subscription, before its grant was revoked
	Delivered                int                   `json:"delivered"`
	Queries                  int                   `json:"queries"` // that were answered
	Denied                   int                   `json:"denied"`  // requests that a policy refused
	Masked                   map[bus.ItemID]string `json:"masked"`
	PublishedAfterRevocation int                   `json:"published_after_revocation"`
	DeliveredAfterRevocation int                   `json:"delivered_after_revocation"`
	FailoverMillis           int64                 `json:"failover_ms"`
	DeliveredAfterFailover   int                   `json:"delivered_after_failover"`
	Evidence                 Evidence              `json:"evidence"`
	Steps                    []Step                `json:"steps"`
}

// Node is a node as the demo left it.
type Node struct {
	ID           bus.NodeID       `json:"id"`
	Division     bus.DivisionCode `json:"division"`
	Level        bus.Level        `json:"level"`
	Suffrage     string           `json:"suffrage"`
	AppliedIndex bus.Revision     `json:"applied_index"`
	Leader       bool             `json:"leader"`
	API          string           `json:"api"`
}

// Evidence sums up the verification of all logs.
type Evidence struct {
	Leaves   int64 `json:"leaves"`
	Verified bool  `json:"verified"`
	Nodes    int   `json:"nodes"`
}

// Demo is a told story whose nodes still run.
type Demo struct {
	Report Report
	story  *story
}

// story is what the steps share.
type story struct {
	Options
	fleet    *fleet.Fleet
	sessions map[string]*client.Client // at the first node, by account
	bearers  map[bus.USCC]string
	sent     int          // events made so far
	service  *http.Server // stands for the provider's own
	report   Report
}

// Run tells the story. The nodes run on when it returns, until Close; the report
// is there after an error too.
func Run(ctx context.Context, o Options) (*Demo, error) {
	nodes, err := fleet.New(o.Program, o.Dir, fleet.Province()...)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.Nodes() {
		n.Settings = []string{"GXBUS_LOOPBACK_BINDINGS=true"} // its service is on this machine too
	}
	s := &story{Options: o, fleet: nodes, sessions: map[string]*client.Client{}, bearers: map[bus.USCC]string{}}
	s.report.Masked = map[bus.ItemID]string{}
	d := &Demo{story: s}
	err = s.tell(ctx)
	s.report.OK = err == nil
	d.Report = s.report
	return d, err
}

// Close stops the nodes.
func (d *Demo) Close() error {
	err := d.story.fleet.Stop()
	if d.story.service != nil {
		err = errors.Join(err, d.story.service.Close())
	}
	return err
}

// Password returns the password that the demo gave an account.
func (d *Demo) Password(account string) string { return d.story.fleet.Password(account) }

// tell runs the steps until one fails.
func (s *story) tell(ctx context.Context) error {
	for _, step := range s.steps() {
		begun := time.Now()
		told, err := step.do(ctx)
		done := Step{Name: step.name, OK: err == nil, Title: step.title, Told: told, Detail: told.EN, Millis: time.Since(begun).Milliseconds()}
		if err != nil {
			done.Detail = err.Error()
			done.Told = bus.Text{ZH: inChinese(err), EN: err.Error()}
		}
		s.report.Steps = append(s.report.Steps, done)
		if s.Tell != nil {
			s.Tell(done)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func inChinese(err error) string {
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return p.Code.Text().ZH + "：" + err.Error()
	}
	return err.Error()
}

// as speaks to the first node as an account.
func (s *story) as(account string) *client.Client { return s.sessions[account] }

// signIn renews the sessions at the first node.
func (s *story) signIn(ctx context.Context) error {
	for _, account := range []string{"sysadmin", "secadmin", "auditor"} {
		session, err := s.fleet.SignIn(ctx, s.fleet.Nodes()[0], account)
		if err != nil {
			return err
		}
		s.sessions[account] = session
	}
	return nil
}

// system speaks to a node as the sample system of a department.
func (s *story) system(id bus.NodeID, d bus.Department) (*client.Client, error) {
	return s.fleet.Node(id).Client(s.bearers[d.ID])
}

func (s *story) registration() bus.System { return sample.SystemOf(sample.ShenzhenMarket) }
