package state

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Removed reports whether id is that of a node that was in the directory and has
// been removed. It is never used again.
func (t *Tx) Removed(id bus.NodeID) bool {
	return t.bytes(retired, string(Nodes)+"/"+string(id)) != nil
}

// retiredKey is where the key of a removed node is remembered.
func retiredKey(hash []byte) string { return "node-keys/" + hex.EncodeToString(hash) }

// Serves lists the divisions that a node is the node of.
func (t *Tx) Serves(id bus.NodeID) []bus.DivisionCode {
	var divisions []bus.DivisionCode
	cursor := t.tx.Bucket([]byte(Homes)).Cursor()
	for code, node := cursor.First(); code != nil; code, node = cursor.Next() {
		if bus.NodeID(node) == id {
			divisions = append(divisions, bus.DivisionCode(code))
		}
	}
	return divisions
}

// planNodePlace says what a node is meant to be. Whoever leads makes the raft
// group so, as soon as that is safe.
func planNodePlace(tx *Tx, r request[command.Place]) ([]Change, error) {
	node, ok := tx.Node(r.body.Node)
	if !ok {
		return nil, bus.NotFound("node", string(r.body.Node))
	}
	if err := expect(r.Expect, node.Revision, "node", string(node.ID)); err != nil {
		return nil, err
	}
	if !r.body.Voter && lastVoter(tx, node.ID) {
		return nil, bus.E(bus.CodeQuorum, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "这是最后一个表决节点", EN: "this is the last voter"}, Allowed: "promote another node first",
		})
	}
	node.Voter, node.Draining, node.Revision = r.body.Voter, r.body.Draining, r.index
	if err := bus.Invalid(node.Check()); err != nil { // a relayed node does not vote
		return nil, err
	}
	return set(Nodes, string(node.ID), node)
}

// lastVoter reports whether no node but id is meant to vote.
func lastVoter(tx *Tx, id bus.NodeID) bool {
	for n := range tx.Nodes() {
		if n.ID != id && n.Voter {
			return false
		}
	}
	return true
}

// planNodeRemove takes a node out of the bus for good: neither its id nor its key
// comes back. It has given up its vote before, so that to remove it never touches
// the quorum.
func planNodeRemove(tx *Tx, r request[command.Key]) ([]Change, error) {
	node, ok := tx.Node(bus.NodeID(r.body.ID))
	if !ok {
		return nil, bus.NotFound("node", r.body.ID)
	}
	if err := expect(r.Expect, node.Revision, "node", r.body.ID); err != nil {
		return nil, err
	}
	defects := tx.Bound(node.ID)
	if node.Voter {
		defects = append(defects, bus.Defect{
			Field: "voter", Problem: bus.Text{ZH: "节点仍有表决权", EN: "the node is still meant to vote"}, Allowed: "gxbus node demote " + r.body.ID,
		})
	}
	if len(defects) > 0 {
		return nil, bus.E(bus.CodeInUse, defects...)
	}
	changes := retire(Nodes, r.body.ID)
	if len(node.Key) > 0 {
		changes = append(changes, Change{retired, retiredKey(node.Key), []byte("true")})
	}
	for _, code := range tx.Serves(node.ID) {
		changes = append(changes, Change{Homes, string(code), nil})
	}
	return changes, nil
}

// Bound lists what binds a node to the bus: it cannot be removed while it has the
// CA's key, relays for a node that has no other way, or serves a department.
func (t *Tx) Bound(id bus.NodeID) []bus.Defect {
	var defects []bus.Defect
	if node, _ := t.Node(id); node.CA {
		defects = append(defects, bus.Defect{
			Field: "ca", Problem: bus.Text{ZH: "节点持有集群签发密钥", EN: "the node holds the cluster's signing key"}, Allowed: "gxbus ca rotate --to another node",
		})
	}
	for n := range t.Nodes() {
		if n.ID != id && len(alone(t, n, id)) > 0 {
			defects = append(defects, bus.Defect{
				Field:   "relay",
				Problem: bus.Text{ZH: "节点 " + string(n.ID) + " 只能经其转接", EN: "node " + string(n.ID) + " has no other node to relay for it"},
				Allowed: "remove that node first, or give it an address that others can dial",
			})
		}
	}
	return append(defects, t.serving(id)...)
}

// serving is the defect of a node that serves departments, or is about to.
func (t *Tx) serving(id bus.NodeID) []bus.Defect {
	const named = 5
	var some []string
	served := 0
	for d := range t.Departments() {
		home, _ := t.Home(d)
		if home != id && (d.Move == nil || d.Move.To != id) {
			continue
		}
		if served++; served <= named {
			some = append(some, string(d.ID))
		}
	}
	if served == 0 {
		return nil
	}
	if served > named {
		some = append(some, "…")
	}
	names := strings.Join(some, ", ")
	return []bus.Defect{{
		Field: "departments",
		Problem: bus.Text{
			ZH: fmt.Sprintf("节点仍服务 %d 个部门：%s", served, names), EN: fmt.Sprintf("the node still serves %d departments: %s", served, names),
		},
		Allowed: "gxbus department move each to another node",
	}}
}

// draining is the defect of a department that would newly be served by a node
// that is being drained.
func draining(tx *Tx, have, next bus.Department) []bus.Defect {
	before := bus.NodeID("")
	if have.Revision != 0 {
		before, _ = tx.Home(have)
	}
	after, _ := tx.Home(next)
	if after == before {
		return nil
	}
	return takesOn(tx, "node", after)
}

// takesOn is the defect of a node that is given a department and is being drained.
func takesOn(tx *Tx, field string, after bus.NodeID) []bus.Defect {
	if node, _ := tx.Node(after); !node.Draining {
		return nil
	}
	return []bus.Defect{{
		Field: field, Problem: bus.Text{ZH: "节点 " + string(after) + " 正在腾退，不再接收部门", EN: "node " + string(after) + " is being drained and takes on no departments"},
		Allowed: "another node",
	}}
}

// planDivisionAssign makes a node that of one more division. The departments that
// were there stay with the node that has served them.
func planDivisionAssign(tx *Tx, r request[command.Assign]) ([]Change, error) {
	var defects []bus.Defect
	if _, ok := tx.Division(r.body.Division); !ok {
		defects = append(defects, unknown("division", string(r.body.Division)))
	}
	node, ok := tx.Node(r.body.Node)
	if !ok {
		defects = append(defects, unknown("node", string(r.body.Node)))
	}
	if node.Draining {
		defects = append(defects, bus.Defect{Field: "node", Problem: bus.Text{ZH: "节点正在腾退", EN: "the node is being drained"}, Allowed: "another node"})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if serving := tx.bytes(Homes, string(r.body.Division)); serving != nil {
		return nil, bus.E(bus.CodeExists, bus.Defect{
			Field: "division", Problem: bus.Text{ZH: "该行政区划已有节点：" + string(serving), EN: "the division has a node: " + string(serving)}, Allowed: "a division without a node",
		})
	}
	stay, err := staying(tx, r.index, bus.Node{ID: node.ID, Division: r.body.Division})
	return append(stay, Change{Homes, string(r.body.Division), []byte(node.ID)}), err
}
