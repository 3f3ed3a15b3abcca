package exchange

import (
	"encoding/json"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

var bucketHoldings = []byte("holdings") // department → whether its data is here, see DESIGN.md

// holding says whether this node keeps a department's data, and of which epoch.
// None is the zero value: kept, of epoch 0, as for a department that never moved.
type holding struct {
	State holdingState `json:"state,omitempty"`
	Epoch bus.Revision `json:"epoch,omitempty"` // of the move that brought it here
	Move  bus.Revision `json:"move,omitempty"`  // that State is about

	New       bool      `json:"new,omitempty"`       // nothing of it had ever been here before
	Contents  *contents `json:"contents,omitempty"`  // what moves; kept: what came, until the directory says that it is served here
	Abandoned uint64    `json:"abandoned,omitempty"` // sealed; kept, with Contents: how often the department had been abandoned by then
	Counted   *counted  `json:"counted,omitempty"`   // sealed: what was counted here; importing: what the old node counted
	Cleared   bool      `json:"cleared,omitempty"`   // importing: nothing is left of an earlier stay
	At        position  `json:"at,omitzero"`         // importing: the next row
	Done      int64     `json:"done,omitempty"`      // importing: bytes that came
}

type holdingState string

const (
	kept       holdingState = ""           // here
	sealed     holdingState = "sealed"     // here, on its way to another node
	importing  holdingState = "importing"  // coming from another node
	discarding holdingState = "discarding" // being deleted
	gone       holdingState = "gone"       // elsewhere; what may be left is never served
)

func holdingOf(tx *bbolt.Tx, id bus.USCC) (h holding, err error) {
	if data := tx.Bucket(bucketHoldings).Get([]byte(id)); data != nil {
		err = json.Unmarshal(data, &h)
	}
	return h, err
}

func (h holding) put(tx *bbolt.Tx, id bus.USCC) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketHoldings).Put([]byte(id), data)
}

// seat is where a department is served, as the directory had it when a step
// began.
type seat struct {
	department bus.USCC
	node       bus.NodeID   // "" for none
	epoch      bus.Revision // of the move that brought it there
	base       uint64       // its sequence numbers are above this
	moving     bool
}

func seatOf(tx *state.Tx, d bus.Department) seat {
	s := seat{department: d.ID, epoch: d.Epoch, base: d.Base(), moving: d.Move != nil}
	s.node, _ = tx.Home(d)
	return s
}

// seatsOf are where the provider and the consumer of a subscription are served.
func seatsOf(tx *state.Tx, s bus.Subscription) (provider, consumer seat) {
	from, _ := tx.Department(tx.Provider(s.Resource))
	to, _ := tx.Department(s.Consumer)
	return seatOf(tx, from), seatOf(tx, to)
}

// serves refuses what another node is to do for a department, and names that;
// and what nobody can do while the department moves.
func (x *Exchange) serves(tx *state.Tx, s seat) error {
	if s.node != x.Self {
		d, _ := tx.Department(s.department)
		return elsewhere(tx, s.node, d)
	}
	if s.moving {
		return moving(s.department)
	}
	return nil
}

// keeps refuses a step for a department whose data this node does not keep of
// the epoch that the directory had for it. It is asked in the transaction of the
// step: what it lets pass is on the disk before the department is sealed, or the
// seal comes first.
func keeps(tx *bbolt.Tx, s seat) error {
	h, err := holdingOf(tx, s.department)
	switch {
	case err != nil:
		return fmt.Errorf("holding of %s: %w", s.department, err)
	case h.State == kept && h.Epoch == s.epoch:
		return nil
	case h.State == kept && h.Epoch < s.epoch:
		return bus.E(bus.CodeUnavailable, bus.Defect{
			Field:   "exchange.db",
			Problem: bus.Text{ZH: "部门 " + string(s.department) + " 迁入后的数据不在本节点磁盘上", EN: "what department " + string(s.department) + " brought when it moved here is not on this disk"},
			Allowed: "the exchange.db that has it",
		})
	default:
		return moving(s.department)
	}
}

func moving(id bus.USCC) error {
	return bus.E(bus.CodeMoving, bus.Defect{
		Field: "department", Problem: bus.Text{ZH: "部门 " + string(id) + " 正在迁移，未执行", EN: "department " + string(id) + " is moving; nothing was done"},
	})
}

// KeepsBinding refuses, in the step's own transaction, to change what a resource is
// bound to where its provider is not served here, or moves.
func (x *Exchange) KeepsBinding(tx *bbolt.Tx, id bus.ResourceID) error {
	var s seat
	err := x.Directory.View(func(tx *state.Tx) error {
		d, _ := tx.Department(tx.Provider(id))
		s = seatOf(tx, d)
		return x.serves(tx, s)
	})
	if err != nil {
		return err
	}
	return keeps(tx, s)
}
