package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// indexLeap is how far the index of a directory moves on when it begins anew, from
// a backup or on the one voter that is left: farther than any index that the old
// group can have come to since. So no revision is given out twice, and no replica
// takes an entry of the new group for one that it has.
const indexLeap = 1 << 32

// Refounding says what a restored directory becomes.
type Refounding struct {
	Cluster   string            // id of the new cluster
	CA        string            // its root certificate, PEM
	Node      bus.Node          // the one node that is left; its id is that of the backup
	Passwords map[string]string // account → hash of its new one-time password; none for an account closes it
	Reason    string            // why grants are suspended, for people
	At        time.Time
}

// Refounded says what Refound did.
type Refounded struct {
	Index     bus.Revision   `json:"index"`
	Epoch     uint64         `json:"epoch"`
	Suspended []bus.GrantID  `json:"suspended"` // grants that wait for a security administrator
	Systems   []bus.SystemID `json:"systems"`   // their credentials are void
	Retired   []bus.NodeID   `json:"retired"`   // nodes whose ids are not used again
	Tokens    int            `json:"tokens"`    // join tokens that are void
	Unserved  []bus.USCC     `json:"unserved"`  // departments of lost nodes that are not below this one: to be moved
}

// Refound makes the directory of a backup that of a new cluster with one node and
// raises the policy epoch. It is for a file that no group runs on; the log knows
// no such entry, so that no node can ask for it.
//
// What has been taken back since the backup must not come to life again, and nobody
// knows what that was. So nothing that lets data pass is taken over as it was: every
// grant that stood is suspended until a security administrator confirms it, every
// system's credential and every join token is void, every account gets a new
// password, and every other node is retired, its id with it.
func (s *Store) Refound(r Refounding) (done Refounded, err error) {
	err = s.leap(func(tx *Tx) (bus.Revision, []Change, error) {
		done = Refounded{Index: tx.Index() + indexLeap, Epoch: tx.Epoch() + 1}
		var changes []Change
		for _, plan := range []func(*Tx, Refounding, *Refounded) ([]Change, error){
			refoundCluster, refoundGrants, refoundSystems, refoundTokens, refoundAccounts, refoundLayers, refoundNodes,
		} {
			more, err := plan(tx, r, &done)
			if err != nil {
				return 0, nil, err
			}
			changes = append(changes, more...)
		}
		return done.Index, changes, nil
	})
	if err != nil {
		return Refounded{}, fmt.Errorf("refound directory: %w", err)
	}
	return done, nil
}

// Leap moves the index on as Refound does, and nothing else: for the voter that is
// left after the others are lost for good.
func (s *Store) Leap() (to bus.Revision, err error) {
	err = s.leap(func(tx *Tx) (bus.Revision, []Change, error) {
		to = tx.Index() + indexLeap
		return to, nil, nil
	})
	return to, err
}

// leap writes changes at an index far ahead, and has it on the disk when it returns.
// Who follows the changes is told to begin anew, for what was followed may be lost;
// answers to requests are forgotten.
func (s *Store) leap(plan func(tx *Tx) (to bus.Revision, changes []Change, err error)) error {
	var to bus.Revision
	err := func() error {
		s.swap.RLock()
		defer s.swap.RUnlock()
		return s.db.Update(func(btx *bbolt.Tx) error {
			b := newBatch(&Tx{tx: btx}, nil)
			var changes []Change
			var err error
			if to, changes, err = plan(b.tx); err != nil {
				return err
			}
			if err := b.write(to, changes); err != nil {
				return err
			}
			if err := btx.DeleteBucket([]byte(journal)); err != nil {
				return err
			}
			if _, err := btx.CreateBucket([]byte(journal)); err != nil {
				return err
			}
			return errors.Join(b.tx.put(meta, keyFloor, to), b.close(to))
		})
	}()
	if err != nil {
		return err
	}
	clear(s.requests)
	s.advance(to)
	return s.syncTo(to, false)
}

// Epoch counts how often the directory was restored from a backup; grants of an
// earlier epoch stand only once they are confirmed.
func (t *Tx) Epoch() uint64 {
	var epoch uint64
	if data := t.bytes(cluster, keyEpoch); data != nil {
		if err := json.Unmarshal(data, &epoch); err != nil {
			panic(fmt.Sprintf("directory table %s, key %q: %v", cluster, keyEpoch, err)) // as in read
		}
	}
	return epoch
}

const keyEpoch = "epoch"

// Suspended counts the grants that wait to be confirmed. Only a restored directory
// has any.
func (t *Tx) Suspended() int {
	waiting := 0
	if t.Epoch() == 0 {
		return 0
	}
	for g := range t.Grants() {
		if g.Unconfirmed() && g.Revoked == "" {
			waiting++
		}
	}
	return waiting
}

// putAll makes the changes that write every value of an iterator that fn changed.
func putAll[V any](values iter.Seq[V], table Table, fn func(*V) (key string, change bool)) ([]Change, error) {
	var changes []Change
	for v := range values {
		key, change := fn(&v)
		if !change {
			continue
		}
		c, err := set(table, key, v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c...)
	}
	return changes, nil
}

func refoundCluster(_ *Tx, r Refounding, done *Refounded) ([]Change, error) {
	epoch, err := set(cluster, keyEpoch, done.Epoch)
	return append(epoch, Change{cluster, "id", []byte(r.Cluster)}, Change{cluster, "ca", []byte(r.CA)}, Change{cluster, keyRoots, nil}), err
}

func refoundGrants(tx *Tx, r Refounding, done *Refounded) ([]Change, error) {
	return putAll(tx.Grants(), Grants, func(g *bus.Grant) (string, bool) {
		if g.Revoked != "" {
			return "", false
		}
		g.Suspended, g.Revision = r.Reason, done.Index
		done.Suspended = append(done.Suspended, g.ID)
		return string(g.ID), true
	})
}

func refoundSystems(tx *Tx, _ Refounding, done *Refounded) ([]Change, error) {
	var registered []Change
	changes, err := putAll(tx.Systems(), Systems, func(s *bus.System) (string, bool) {
		registered = append(registered, unregister(s.Credentials...)...)
		s.Credentials, s.Revision = nil, done.Index
		done.Systems = append(done.Systems, s.ID)
		return string(s.ID), true
	})
	return append(changes, registered...), err
}

func refoundTokens(tx *Tx, _ Refounding, done *Refounded) ([]Change, error) {
	var changes []Change
	for t := range all[bus.Token](tx, Tokens) {
		changes = append(changes, Change{Tokens, string(t.ID), nil})
		if t.UsedBy == nil {
			done.Tokens++
		}
	}
	return changes, nil
}

func refoundAccounts(tx *Tx, r Refounding, done *Refounded) ([]Change, error) {
	return putAll(tx.Accounts(), Accounts, func(a *bus.Account) (string, bool) {
		a.PasswordHash, a.MustChange, a.Revision = r.Passwords[a.Name], true, done.Index
		return a.Name, true
	})
}

// refoundLayers drops the drafts: which of them were discarded since, and why, nobody
// knows. The layers in force stay, for they only deny.
func refoundLayers(tx *Tx, _ Refounding, _ *Refounded) ([]Change, error) {
	var changes []Change
	for d := range tx.LayerDrafts() {
		changes = append(changes, Change{LayerDrafts, string(d.ID), nil})
	}
	return changes, nil
}

// refoundNodes leaves one node.
func refoundNodes(tx *Tx, r Refounding, done *Refounded) ([]Change, error) {
	have, ok := tx.Node(r.Node.ID)
	if !ok {
		return nil, bus.NotFound("node", string(r.Node.ID))
	}
	own := r.Node
	own.Joined, own.Revision, own.Voter, own.CA = have.Joined, done.Index, true, true
	changes, err := set(Nodes, string(own.ID), own)
	if err != nil {
		return nil, err
	}
	changes = append(changes, Change{Checkpoints, string(own.ID), nil}) // its evidence log goes on under a new name
	for n := range tx.Nodes() {
		if n.ID != own.ID {
			changes = append(changes, retire(Nodes, string(n.ID))...)
			done.Retired = append(done.Retired, n.ID)
		}
	}
	for d := range tx.Divisions() {
		if id := tx.bytes(Homes, string(d.Code)); id != nil && bus.NodeID(id) != own.ID {
			changes = append(changes, Change{Homes, string(d.Code), nil})
		}
	}
	left, err := putAll(tx.Departments(), Departments, func(d *bus.Department) (string, bool) {
		return string(d.ID), bereave(tx, d, own, r.At, done)
	})
	return append(changes, left...), err
}

// bereave settles what becomes of a department whose node is gone. One of the
// division of the node that is left, or below it, moves there without its events,
// so that its numbers go on above all that the lost node can have given. Any other
// stays with the lost node, which serves nobody, until it is moved.
func bereave(tx *Tx, d *bus.Department, own bus.Node, at time.Time, done *Refounded) (change bool) {
	home, served := tx.Home(*d)
	switch {
	case !served:
		return false
	case home == own.ID:
		change = d.Move != nil
		d.Move = nil // where it was to go is gone
	default:
		change = true
		d.Node, d.Move = home, nil
		if slices.Contains(tx.Chain(d.Division), own.Division) {
			d.Move = &bus.Move{From: home, To: own.ID, Epoch: done.Index, Abandon: true, Began: at}
		} else {
			done.Unserved = append(done.Unserved, d.ID)
		}
	}
	d.Revision = done.Index
	return change
}
