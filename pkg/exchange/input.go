package exchange

import (
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// flow is one subscription, or a publication, with all that its decisions depend
// on, read at one directory index.
type flow struct {
	subscription bus.Subscription
	resource     bus.Resource
	input        policy.Input
	provider     seat
	consumer     seat // none of a publication
	basis        basis
	schema       *types.URI // of a publication: where the schema of its data is answered
	undelivered  bool       // nothing was exchanged under its grant, as far as the directory knows
}

// basis is what a decision rested on: the revisions of the tables it read.
type basis [9]bus.Revision

func basisOf(tx *state.Tx) (b basis) {
	for i, t := range [len(b)]state.Table{
		state.Divisions, state.Homes, state.Departments, state.Systems, state.Resources, state.Grants, state.Subscriptions, state.Layers, state.Nodes,
	} {
		b[i] = tx.Revision(t)
	}
	return b
}

// flowOf reads the flow of a subscription; ok is false where it, its resource
// or one of its departments is not in the directory.
func (x *Exchange) flowOf(id bus.SubscriptionID) (f flow, ok bool, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		if f.subscription, ok = tx.Subscription(id); ok {
			f, ok = x.flow(tx, f.subscription)
		}
		return nil
	})
	return f, ok, err
}

// flow reads the flow of a subscription, or of what is asked for like one.
func (x *Exchange) flow(tx *state.Tx, s bus.Subscription) (f flow, ok bool) {
	if f, ok = x.routes.between(tx, route{s.Resource, s.Consumer, s.System, s.Grant}); !ok {
		return f, false
	}
	f.subscription = s
	f.input.Time, f.input.Directory.Index = policy.Instant{Time: x.Now()}, tx.Index()
	f.input.Purpose, f.input.Matter, f.input.Basis, f.input.Items = s.Purpose, s.Matter, s.Basis, s.Items
	return f, true
}

// input begins the policy input of a request for a resource.
func (x *Exchange) input(tx *state.Tx, r bus.Resource) policy.Input {
	return policy.Input{
		Version: policy.InputVersion, Time: policy.Instant{Time: x.Now()},
		Resource: policy.ResourceOf(r), Directory: policy.DirectoryState{Index: tx.Index()},
	}
}

func party(tx *state.Tx, d bus.Department, system bus.SystemID) policy.Party {
	return policy.Party{Department: d.ID, Division: d.Division, Divisions: tx.Chain(d.Division), System: system}
}

// elsewhere refuses what is another node's to do for a department, and says whose.
func elsewhere(tx *state.Tx, home bus.NodeID, d bus.Department) error {
	if home == "" {
		return bus.E(bus.CodeWrongNode, bus.Defect{
			Field:   "department",
			Problem: bus.Text{ZH: "没有节点服务于该部门所在区划 " + string(d.Division), EN: "no node serves the department's division " + string(d.Division) + " or one above"},
			Allowed: "a node of that division or of one above: gxbus token create",
		})
	}
	node, _ := tx.Node(home)
	return bus.E(bus.CodeWrongNode, bus.Defect{
		Field:   "department",
		Problem: bus.Text{ZH: "该部门由节点 " + string(home) + " 服务", EN: "the department is served by node " + string(home)},
		Allowed: string(home) + " at " + node.APIAddress,
	})
}

// aged sets how old the replica is that the input was read from.
func (x *Exchange) aged(in *policy.Input) error {
	age, err := x.Directory.Age()
	in.Directory.AgeSeconds = int((age + time.Second - 1) / time.Second)
	return err
}

// unchanged reports whether what a decision rested on still stands.
func (x *Exchange) unchanged(b basis) (same bool, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		same = basisOf(tx) == b
		return nil
	})
	return same, err
}
