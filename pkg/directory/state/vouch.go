package state

import (
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Vouch refuses an entry that a node puts forward in the name of somebody whom
// another node knows (threat S31): the key of one node must not speak for all.
//
// An account or system of a department was authenticated by the node that serves
// the department, and by no other; while it moves, by either. A separated
// administrator belongs to no node, and enters through one that votes: those keep
// the log, and are trusted with it anyway. A node speaks for itself.
func (t *Tx) Vouch(node bus.NodeID, p bus.Principal) error {
	if p.Department != "" {
		return t.vouchDepartment(node, p.Department)
	}
	if p.Account == "" {
		return nil
	}
	return t.Votes(node)
}

// Votes refuses a node that is not meant to vote. CodeWrongNode.
func (t *Tx) Votes(node bus.NodeID) error {
	if n, _ := t.Node(node); n.Voter {
		return nil
	}
	return bus.E(bus.CodeWrongNode, bus.Defect{
		Field: "node", Problem: bus.Text{ZH: "三员须经表决节点办理", EN: "other nodes believe a node about an administrator only where it votes"}, Allowed: t.voters(),
	})
}

// Speaks refuses a node that asks in the name of somebody for whom it does not vouch,
// or who is not, by the directory, what it says he is (threat S31): a role that was
// added to a system, or an account that has another, sees nothing. CodeWrongNode,
// CodeForbidden.
func (t *Tx) Speaks(node bus.NodeID, p bus.Principal) error {
	if err := t.Vouch(node, p); err != nil {
		return err
	}
	if !genuine(t, p) {
		return bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "目录中没有这样的主体：" + p.String(), EN: "the directory has no such principal: " + p.String()}, Allowed: "as the directory has it, and not disabled",
		})
	}
	return nil
}

// VouchEntry is Vouch for an entry. A signing key is made at the node that serves the
// system, for no other could check it (ADR 0023), also where an administrator asks for
// it and that node does not vote: of its own systems it could say anything anyway.
func (t *Tx) VouchEntry(node bus.NodeID, e command.Entry) error {
	err := t.Vouch(node, e.Principal)
	if err == nil || e.Type != command.CredentialAdd {
		return err
	}
	var add command.NewCredential
	if e.DecodeBody(&add) != nil {
		return err
	}
	if s, ok := t.System(add.System); !ok || add.Credential.Kind != bus.CredentialSigning || t.vouchDepartment(node, s.Department) != nil {
		return err
	}
	return nil
}

func (t *Tx) vouchDepartment(node bus.NodeID, id bus.USCC) error {
	d, ok := t.Department(id)
	if !ok {
		return nil // it is refused as what it is
	}
	home, served := t.Home(d)
	if m := d.Move; served && (home == node || m != nil && (m.From == node || m.To == node)) {
		return nil
	}
	if n, _ := t.Node(node); !served && n.Voter { // nobody serves it yet
		return nil
	}
	return bus.E(bus.CodeWrongNode, bus.Defect{
		Field: "node", Problem: bus.Text{ZH: "该部门由节点 " + string(home) + " 服务", EN: "the department is served by node " + string(home)}, Allowed: string(home),
	})
}

// voters lists the nodes that are meant to vote.
func (t *Tx) voters() string {
	list := ""
	for n := range t.Nodes() {
		if n.Voter {
			if list != "" {
				list += ", "
			}
			list += string(n.ID)
		}
	}
	return list
}
