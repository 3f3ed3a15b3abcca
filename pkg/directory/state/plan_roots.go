package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// The root certificates are kept as bytes: whether they are good X.509 is for the
// nodes to see. To parse them here would make the state depend on the parser.

const (
	keyRoots = "roots" // of table cluster: the roots as one list, oldest first
	maxRoot  = 8 << 10 // bytes of a certificate
)

// Roots lists the root certificates that nodes trust, oldest first: one, or two
// while one takes the other's place. The last is the one that signs.
func (t *Tx) Roots() []bus.Root {
	if roots, ok := read[[]bus.Root](t, cluster, keyRoots); ok {
		return roots
	}
	block, _ := pem.Decode(t.bytes(cluster, "ca"))
	if block == nil {
		return nil
	}
	root := bus.Root{Fingerprint: fingerprint(block.Bytes), Certificate: block.Bytes}
	for n := range t.Nodes() {
		if n.CA {
			root.Holder = n.ID
		}
	}
	return []bus.Root{root}
}

// KnowsRoot reports whether a root is or once was in the directory.
func (t *Tx) KnowsRoot(fingerprint string) bool {
	for _, r := range t.Roots() {
		if r.Fingerprint == fingerprint {
			return true
		}
	}
	return t.bytes(retired, keyRoots+"/"+fingerprint) != nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// planRootAdd begins the replacement of the root: nodes trust the new one beside
// the old, and its holder signs from now on.
func planRootAdd(tx *Tx, r request[bus.Root]) ([]Change, error) {
	root := r.body
	var defects []bus.Defect
	holder, ok := tx.Node(root.Holder)
	if !ok {
		defects = append(defects, unknown("holder", string(root.Holder)))
	}
	if len(root.Certificate) == 0 || len(root.Certificate) > maxRoot {
		defects = append(defects, bus.Defect{Field: "certificate", Problem: bus.Text{ZH: "证书为空或过长", EN: "an empty or too long certificate"}, Allowed: fmt.Sprintf("1–%d bytes", maxRoot)})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	roots := tx.Roots()
	if len(roots) > 1 {
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field: "root", Problem: bus.Text{ZH: "上一次根证书更换尚未结束", EN: "the root is being replaced already"}, Allowed: "gxbus ca retire first",
		})
	}
	root.Fingerprint, root.Cross, root.Added, root.Revision = fingerprint(root.Certificate), nil, r.At, r.index
	for _, have := range roots {
		if have.Fingerprint == root.Fingerprint {
			return nil, expect(0, r.index, "root", root.Fingerprint)
		}
	}
	if defects := spent(tx, keyRoots, root.Fingerprint); len(defects) > 0 {
		return nil, bus.Invalid(defects)
	}
	changes, err := set(cluster, keyRoots, append(roots, root))
	if err != nil {
		return nil, err
	}
	for n := range tx.Nodes() {
		if n.CA == (n.ID == holder.ID) {
			continue
		}
		n.CA, n.Revision = n.ID == holder.ID, r.index
		change, err := set(Nodes, string(n.ID), n)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change...)
	}
	return changes, nil
}

// planRootCross takes the newest root as signed by the one before it, so that
// whoever knows only that one believes in the newest too. Only the older root's
// holder can have made it.
func planRootCross(tx *Tx, r request[command.Cross]) ([]Change, error) {
	roots := tx.Roots()
	if len(roots) != 2 || roots[1].Fingerprint != r.body.Fingerprint {
		return nil, bus.NotFound("root", r.body.Fingerprint)
	}
	if r.Principal.Node != roots[0].Holder {
		return nil, bus.E(bus.CodeForbidden)
	}
	if len(r.body.Certificate) == 0 || len(r.body.Certificate) > maxRoot {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "certificate", Problem: bus.Text{ZH: "证书为空或过长", EN: "an empty or too long certificate"}})
	}
	roots[1].Cross, roots[1].Revision = r.body.Certificate, r.index
	return set(cluster, keyRoots, roots)
}

// planRootRetire ends the trust in the older root. A node that still has a
// certificate under it would be shut out.
func planRootRetire(tx *Tx, r request[command.RetireRoot]) ([]Change, error) {
	roots := tx.Roots()
	if len(roots) != 2 || roots[0].Fingerprint != r.body.Fingerprint {
		return nil, bus.NotFound("root", r.body.Fingerprint)
	}
	if left := tx.Outside(roots[1].Fingerprint); len(left) > 0 && !r.body.Force {
		names := make([]string, len(left))
		for i, id := range left {
			names[i] = string(id)
		}
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field:   "root",
			Problem: bus.Text{ZH: "以下节点尚无新根证书签发的证书：" + strings.Join(names, ", "), EN: "these nodes have no certificate under the new root yet: " + strings.Join(names, ", ")},
			Allowed: "wait for them, remove those that are lost, or force: they are then shut out",
		})
	}
	roots[1].Cross = nil
	changes, err := set(cluster, keyRoots, roots[1:])
	return append(changes, Change{retired, keyRoots + "/" + r.body.Fingerprint, []byte("true")}), err
}

// Outside lists the nodes that have not told of a certificate under a root.
func (t *Tx) Outside(root string) []bus.NodeID {
	var left []bus.NodeID
	for n := range t.Nodes() {
		if n.Root != root {
			left = append(left, n.ID)
		}
	}
	return left
}
