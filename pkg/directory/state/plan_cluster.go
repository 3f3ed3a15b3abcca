package state

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

func planInit(tx *Tx, r request[command.Init]) ([]Change, error) {
	if id, _ := tx.Cluster(); id != "" {
		return nil, bus.E(bus.CodeAlreadyInitialized)
	}
	changes := []Change{
		{cluster, "id", []byte(r.body.Cluster)},
		{cluster, "ca", []byte(r.body.CA)},
	}
	add := func(table Table, key string, value any) error {
		c, err := set(table, key, value)
		changes = append(changes, c...)
		return err
	}
	for _, d := range r.body.Divisions {
		d.Revision = r.index
		if err := add(Divisions, string(d.Code), d); err != nil {
			return nil, err
		}
	}
	for _, l := range r.body.Libraries {
		l.Revision = r.index
		if err := add(Libraries, string(l.ID), l); err != nil {
			return nil, err
		}
	}
	for _, d := range r.body.Calendar {
		if err := add(Calendar, d.Date, d); err != nil {
			return nil, err
		}
	}
	for _, a := range r.body.Accounts {
		a.Revision = r.index
		if err := add(Accounts, a.Name, a); err != nil {
			return nil, err
		}
	}
	node := r.body.Node
	node.Revision, node.Joined = r.index, r.At
	if err := add(Nodes, string(node.ID), node); err != nil {
		return nil, err
	}
	return append(changes, home(tx, node)...), nil
}

// staying keeps the departments that a new node's division would take over with
// the node that has served them: their events are numbered there, and whoever
// subscribed follows those numbers. Moving one is an act of its own.
func staying(tx *Tx, index bus.Revision, node bus.Node) ([]Change, error) {
	if tx.bytes(Homes, string(node.Division)) != nil {
		return nil, nil
	}
	var changes []Change
	for d := range tx.Departments() {
		served, ok := tx.Home(d)
		if d.Node != "" || !ok || !tx.nearer(d.Division, node.Division) {
			continue
		}
		d.Node, d.Revision = served, index
		change, err := set(Departments, string(d.ID), d)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change...)
	}
	return changes, nil
}

// nearer reports whether a node of division candidate would serve division: no
// division on the way up to it has a node.
func (t *Tx) nearer(division, candidate bus.DivisionCode) bool {
	for _, code := range t.Chain(division) {
		if code == candidate {
			return true
		}
		if t.bytes(Homes, string(code)) != nil {
			return false
		}
	}
	return false
}

// home makes a node the one that serves its division, where that has none yet.
func home(tx *Tx, node bus.Node) []Change {
	if node.Division == "" || tx.bytes(Homes, string(node.Division)) != nil {
		return nil
	}
	return []Change{{Homes, string(node.Division), []byte(node.ID)}}
}

func planTokenCreate(tx *Tx, r request[bus.Token]) ([]Change, error) {
	token := r.body
	defects := append(bus.CheckID("id", token.ID), bus.CheckID("node", token.Node)...)
	if _, ok := tx.Division(token.Division); !ok {
		defects = append(defects, unknown("division", string(token.Division)))
	}
	if !token.Expires.After(r.At) {
		defects = append(defects, bus.Defect{Field: "expires", Problem: bus.Text{ZH: "有效期已过", EN: "in the past"}, Allowed: "later than now"})
	}
	if len(token.SecretHash) != sha256.Size {
		defects = append(defects, wrongHash("secret_hash"))
	}
	for _, d := range spent(tx, Nodes, string(token.Node)) {
		d.Field = "node"
		defects = append(defects, d)
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if node, ok := tx.Node(token.Node); ok {
		return nil, expect(0, node.Revision, "node", string(node.ID))
	}
	if have, ok := read[bus.Token](tx, Tokens, string(token.ID)); ok {
		return nil, expect(0, have.Revision, "id", string(token.ID))
	}
	token.Revision, token.UsedBy = r.index, nil
	return set(Tokens, string(token.ID), token)
}

// planNodeJoin redeems a token. The holder of the same key may repeat it until
// it expires, so that a join cut off half-way can be finished; anybody else is
// refused, and told no more than that.
func planNodeJoin(tx *Tx, r request[command.Join]) ([]Change, error) {
	// Every replica knows the hash of the secret; who certifies saw the secret (threat S24).
	if roots := tx.Roots(); len(roots) > 0 && roots[len(roots)-1].Holder != r.Principal.Node {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "加入由持有签发密钥的节点办理", EN: "the node that certifies the new one takes it in"}, Allowed: "the node that holds the CA's key",
		})
	}
	refused := bus.E(bus.CodeTokenRefused)
	token, ok := read[bus.Token](tx, Tokens, string(r.body.Token))
	if !ok || subtle.ConstantTimeCompare(token.SecretHash, r.body.SecretHash) != 1 {
		return nil, refused
	}
	if !r.At.Before(token.Expires) {
		return nil, refused
	}
	if len(r.body.KeyHash) != sha256.Size { // an empty one would leave the token unused
		return nil, refused
	}
	if token.UsedBy != nil && !bytes.Equal(token.UsedBy, r.body.KeyHash) {
		return nil, refused
	}
	if tx.Removed(token.Node) || tx.bytes(retired, retiredKey(r.body.KeyHash)) != nil {
		return nil, bus.E(bus.CodeNodeRemoved, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "节点或其密钥已被移出总线", EN: "this node, or its key, was removed from the bus"},
			Allowed: "a new token for a new id, and a new data directory",
		})
	}
	node := r.body.Node
	if node.ID != token.Node || node.Division != token.Division {
		return nil, bus.E(bus.CodeTokenRefused, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "令牌是为其他节点签发的", EN: "the token is for another node"},
			Allowed: fmt.Sprintf("node %s of division %s", token.Node, token.Division),
		})
	}
	node.Voter = token.Voter
	if err := bus.Invalid(append(node.Check(), alone(tx, node)...)); err != nil {
		return nil, err
	}
	have, repeated := tx.Node(node.ID)
	if repeated && token.UsedBy == nil {
		return nil, expect(0, have.Revision, "node", string(node.ID))
	}
	if err := bus.Invalid(taken(tx, node)); err != nil {
		return nil, err
	}
	have.Joined = r.At
	if !repeated {
		have = bus.Node{Voter: token.Voter, Joined: r.At}
	}
	// What a node is meant to be is not its own to say, and a join that is repeated
	// takes nothing back. Of its certificate it tells later.
	node.Voter, node.Draining, node.CA, node.Joined = have.Voter, have.Draining, have.CA, have.Joined
	node.Key, node.Root, node.Expires, node.Revision = r.body.KeyHash, have.Root, have.Expires, r.index
	token.UsedBy, token.Revision = r.body.KeyHash, r.index
	changes, err := set(Nodes, string(node.ID), node)
	if err != nil {
		return nil, err
	}
	used, err := set(Tokens, string(token.ID), token)
	if err != nil {
		return nil, err
	}
	stay, err := staying(tx, r.index, node)
	return slices.Concat(changes, used, home(tx, node), stay), err
}

// taken lists the addresses of a node that are another's: its certificate would
// let it pass for that one.
func taken(tx *Tx, node bus.Node) []bus.Defect {
	var defects []bus.Defect
	for other := range tx.Nodes() {
		if other.ID == node.ID {
			continue
		}
		problem := bus.Text{ZH: "地址已属于节点 " + string(other.ID), EN: "this address is that of node " + string(other.ID)}
		if other.PeerAddress == node.PeerAddress && !node.Relayed() {
			defects = append(defects, bus.Defect{Field: "peer_address", Problem: problem})
		}
		if other.APIAddress == node.APIAddress {
			defects = append(defects, bus.Defect{Field: "api_address", Problem: problem})
		}
	}
	return defects
}

// planNodePut lets a node change its own addresses, and tell which certificate it
// has.
func planNodePut(tx *Tx, r request[bus.Node]) ([]Change, error) {
	have, ok := tx.Node(r.body.ID)
	if !ok {
		return nil, bus.NotFound("node", string(r.body.ID))
	}
	if r.Principal.Node != have.ID {
		return nil, bus.E(bus.CodeForbidden)
	}
	if err := expect(r.Expect, have.Revision, "node", string(have.ID)); err != nil {
		return nil, err
	}
	have.PeerAddress, have.APIAddress, have.Revision = r.body.PeerAddress, r.body.APIAddress, r.index
	have.Root, have.Expires = r.body.Root, r.body.Expires
	if err := bus.Invalid(slices.Concat(have.Check(), alone(tx, have), taken(tx, have))); err != nil {
		return nil, err
	}
	return set(Nodes, string(have.ID), have)
}

// planAccountPut changes an account: its own password by its holder, anything of
// others but who they are by a security administrator (who so cannot be the one
// that signs in).
func planAccountPut(tx *Tx, r request[bus.Account]) ([]Change, error) {
	account := r.body
	have, _ := tx.Account(account.Name)
	own := r.Principal.Account == account.Name
	if !own && !bySecurityAdministrator(r.Principal) {
		return nil, bus.E(bus.CodeForbidden)
	}
	if err := expect(r.Expect, have.Revision, "account", account.Name); err != nil {
		return nil, err
	}
	if have.Revision != 0 && (have.Role != account.Role || have.Department != account.Department) {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "role", Problem: bus.Text{ZH: "账户的角色与部门不可变更", EN: "the role and department of an account never change"},
			Allowed: strings.TrimSpace(string(have.Role) + " " + string(have.Department)),
		})
	}
	if own && account.Disabled {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "disabled", Problem: bus.Text{ZH: "不能停用本人账户", EN: "nobody disables themselves"}, Allowed: "another security administrator",
		})
	}
	defects := account.Check()
	if _, ok := tx.Department(account.Department); account.Department != "" && !ok {
		defects = append(defects, unknown("department", string(account.Department)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	account.Revision = r.index
	return set(Accounts, account.Name, account)
}

// planCheckpointPut takes the head of a node's own evidence log, signed with the
// key that the node joined with: no other word is taken for it. It only grows: a
// shorter log, or another root at the same size, is the mark of a rolled-back disk
// or a rewritten log and is refused.
func planCheckpointPut(tx *Tx, r request[bus.Checkpoint]) ([]Change, error) {
	next := r.body
	if r.Principal.Node != next.Node {
		return nil, bus.E(bus.CodeForbidden)
	}
	node, ok := tx.Node(next.Node)
	if !ok {
		return nil, bus.NotFound("node", string(next.Node))
	}
	id, _ := tx.Cluster()
	if err := audit.CheckSigned(next, audit.Origin(id, next.Node), node.EvidenceKey); err != nil {
		return nil, err
	}
	have, _ := tx.Checkpoint(next.Node)
	if next.Size < have.Size || next.Size == have.Size && have.Revision != 0 && !bytes.Equal(next.Root, have.Root) {
		return nil, bus.E(bus.CodeRevision, bus.Defect{
			Field:   "size",
			Problem: bus.Text{ZH: "存证日志比已登记的短或不一致", EN: "the evidence log is shorter than, or differs from, what the directory knows"},
			Allowed: fmt.Sprintf("a log that extends the %d leaves known", have.Size),
		})
	}
	next.Revision = r.index
	return set(Checkpoints, string(next.Node), next)
}

func planTick(_ *Tx, r request[command.Empty]) ([]Change, error) {
	return set(meta, keyTick, r.At)
}
