package exchange

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

// All that a node keeps for a department reads as one sequence of rows, the same
// on the old node and, once they are copied, on the new one: part by part, item
// by item, in the order of keys.

// contents names what a node keeps for a department.
type contents struct {
	Department bus.USCC             `json:"department,omitempty"` // whose ledger moves
	Resources  []bus.ResourceID     `json:"resources,omitempty"`  // that it provides: events, arrivals and bindings
	Cursors    []bus.SubscriptionID `json:"cursors,omitempty"`    // of subscriptions to those
	Inboxes    []inbox              `json:"inboxes,omitempty"`    // of its own subscriptions, their marks and sinks
}

type inbox struct {
	Subscription bus.SubscriptionID `json:"subscription"`
	Resource     bus.ResourceID     `json:"resource"`
}

// part is one kind of rows.
type part int

const (
	partEvents part = iota
	partArrivals
	partCursors
	partInboxes
	partMarks
	partLedger
	partHusks
	partBindings // opened here, sealed there
	partSinks    // opened here, sealed there
	partTries
	partEnd
)

// vaults are the parts that lie sealed with a key of the node. Their rows are in
// clear only between two nodes, inside the TLS of one with the other.
type vaults map[part]storage.Sealed

func (x *Exchange) vaults() vaults {
	v := vaults{}
	if x.Seal != nil {
		v[partSinks] = storage.Sealed{Bucket: bucketSinks, AEAD: x.Seal}
	}
	if x.Bound != nil {
		v[partBindings] = storage.Sealed{Bucket: []byte(binding.Bucket), AEAD: x.Bound}
	}
	return v
}

// row is one entry of a bucket. The key of an arrival is a number of the node
// that has it; all else means the same everywhere.
type row struct {
	Part  part   `json:"part"`
	Item  int    `json:"item"` // in the contents' list
	Key   []byte `json:"key,omitempty"`
	Value []byte `json:"value"`
}

// position is a place before a row, or after the last one.
type position struct {
	Part part   `json:"part"`
	Item int    `json:"item"`
	Key  []byte `json:"key,omitempty"` // the next row's is not below it
}

func (p position) end() bool { return p.Part >= partEnd }

const (
	chunkBytes = 1 << 20 // about how many bytes of rows are read at once
	rowCost    = 64      // what a row counts beyond its value
	scanCost   = 8       // what another department's arrival counts that is read past
)

// contentsOf lists what the directory knows of a department.
func contentsOf(tx *state.Tx, id bus.USCC) (c contents) {
	c.Department = id
	provided := map[bus.ResourceID]bool{}
	for r := range tx.Resources() {
		if r.Provider == id {
			provided[r.ID] = true
			c.Resources = append(c.Resources, r.ID)
		}
	}
	for s := range tx.Subscriptions() {
		if provided[s.Resource] {
			c.Cursors = append(c.Cursors, s.ID)
		}
		if s.Consumer == id {
			c.Inboxes = append(c.Inboxes, inbox{s.ID, s.Resource})
		}
	}
	return c
}

// of refuses a list that names what is not the department's: whoever sends it would
// have it deleted here, and written anew (threat S58). What this replica does not know
// yet is waited for.
func (c contents) of(tx *state.Tx, id bus.USCC) error {
	foreign := func(what, name string) error {
		return fmt.Errorf("it names %s %s, which is not the department's", what, name)
	}
	unknown := func(what, name string) error { return fmt.Errorf("this replica does not know %s %s yet", what, name) }
	if c.Department != id {
		return foreign("department", string(c.Department))
	}
	if !slices.IsSorted(c.Resources) {
		return errors.New("its resources are in no order")
	}
	for _, r := range c.Resources {
		switch provider := tx.Provider(r); {
		case provider == "":
			return unknown("resource", string(r))
		case provider != id:
			return foreign("resource", string(r))
		}
	}
	subscription := func(name bus.SubscriptionID, owned func(bus.Subscription) bool) error {
		s, ok := tx.Subscription(name)
		switch {
		case !ok && tx.Spent(state.Subscriptions, string(name)): // it was deleted meanwhile: what is left of it is nobody's
			return nil
		case !ok:
			return unknown("subscription", string(name))
		case !owned(s):
			return foreign("subscription", string(name))
		}
		return nil
	}
	for _, name := range c.Cursors {
		if err := subscription(name, func(s bus.Subscription) bool { return tx.Provider(s.Resource) == id }); err != nil {
			return err
		}
	}
	for _, in := range c.Inboxes {
		if err := subscription(in.Subscription, func(s bus.Subscription) bool { return s.Consumer == id && s.Resource == in.Resource }); err != nil {
			return err
		}
	}
	return nil
}

// read copies about chunkBytes of rows from at on, and says where to go on. What
// lies in one of the vaults is opened, and passed over where the node cannot: such
// a row was of no use here either.
func (c contents) read(tx *bbolt.Tx, at position, open vaults) (rows []row, next position) {
	budget := chunkBytes
	for !at.end() && budget > 0 {
		if at.Item >= c.items(at.Part) {
			at = position{Part: at.Part + 1}
			continue
		}
		var done bool
		if rows, at.Key, done = c.readItem(tx, at, open, rows, &budget); done {
			at = position{Part: at.Part, Item: at.Item + 1}
		}
	}
	return rows, at
}

func (c contents) items(p part) int {
	switch p {
	case partEvents, partHusks, partBindings:
		return len(c.Resources)
	case partArrivals:
		return 1 // all resources' are in one bucket
	case partCursors:
		return len(c.Cursors)
	case partInboxes, partMarks, partSinks, partTries:
		return len(c.Inboxes)
	case partLedger:
		return min(len(c.Department), 1) // one, where the list names the department
	default:
		return 0
	}
}

// readItem appends rows of one item until it is done or the budget is spent;
// next is then where to go on.
func (c contents) readItem(tx *bbolt.Tx, at position, open vaults, rows []row, budget *int) (_ []row, next []byte, done bool) {
	bucket, single := c.bucket(tx, at.Part, at.Item)
	add := func(key, value []byte) {
		rows = append(rows, row{at.Part, at.Item, slices.Clone(key), slices.Clone(value)})
		*budget -= rowCost + len(value)
	}
	if bucket == nil {
		return rows, nil, true
	}
	if single != nil {
		value := bucket.Get(single)
		if vault, ok := open[at.Part]; ok && value != nil {
			value, _ = vault.Open(single, value)
		}
		if value != nil {
			add(nil, value)
		}
		return rows, nil, true
	}
	cursor := bucket.Cursor()
	for key, value := cursor.Seek(at.Key); key != nil; key, value = cursor.Next() {
		if *budget <= 0 {
			return rows, slices.Clone(key), false
		}
		if at.Part == partArrivals && !c.provides(value) {
			*budget -= scanCost
			continue
		}
		add(key, value)
	}
	return rows, nil, true
}

// bucket is where the rows of an item are: all of a bucket, nil where there is
// none, or the single key in it.
func (c contents) bucket(tx *bbolt.Tx, p part, item int) (bucket *bbolt.Bucket, single []byte) {
	switch p {
	case partEvents:
		return tx.Bucket(bucketEvents).Bucket([]byte(c.Resources[item])), nil
	case partArrivals:
		return tx.Bucket(bucketArrivals), nil
	case partCursors:
		return tx.Bucket(bucketCursors), []byte(c.Cursors[item])
	case partInboxes:
		return tx.Bucket(bucketInbox).Bucket([]byte(c.Inboxes[item].Subscription)), nil
	case partMarks:
		return tx.Bucket(bucketMarks), []byte(c.Inboxes[item].Subscription)
	case partHusks:
		return tx.Bucket(bucketHusks).Bucket([]byte(c.Resources[item])), nil
	case partBindings:
		return tx.Bucket([]byte(binding.Bucket)), []byte(c.Resources[item])
	case partSinks:
		return tx.Bucket(bucketSinks), []byte(c.Inboxes[item].Subscription)
	case partTries:
		return tx.Bucket(bucketTries), []byte(c.Inboxes[item].Subscription)
	default:
		return tx.Bucket(bucketLedger).Bucket([]byte(c.Department)), nil
	}
}

// provides reports whether an arrival is of one of the resources, which are
// sorted as the directory lists them.
func (c contents) provides(arrival []byte) bool {
	if len(arrival) <= keySize+8 {
		return false
	}
	_, found := slices.BinarySearch(c.Resources, bus.ResourceID(arrival[keySize+8:]))
	return found
}

// write puts rows that another node read. Arrivals get numbers of this node, what
// was in a vault there goes into that of this node.
func (c contents) write(tx *bbolt.Tx, arrivals *arrivals, seal vaults, rows []row) error {
	for _, r := range rows {
		if err := c.check(r); err != nil {
			return err
		}
		if r.Part == partArrivals {
			if err := arrivals.add(tx, arrivalKey(r.Value[:keySize]), occurrence(r.Value)); err != nil {
				return err
			}
			continue
		}
		if r.Part == partInboxes {
			event := numbered{Sequence: binary.BigEndian.Uint64(r.Key), stored: stored{Event: r.Value}}
			if err := putInbox(tx, c.Inboxes[r.Item].Subscription, event); err != nil {
				return err
			}
			continue
		}
		if err := c.create(tx, r); err != nil {
			return err
		}
		bucket, key := c.bucket(tx, r.Part, r.Item)
		if r.Part == partSinks { // the endpoint allowed another node, whatever that says
			var s sink
			if err := json.Unmarshal(r.Value, &s); err != nil {
				return errors.New("a row that is no sink")
			}
			s.Asked = ""
			var err error
			if r.Value, err = json.Marshal(s); err != nil {
				return err
			}
		}
		if r.secret() {
			vault, ok := seal[r.Part]
			if !ok {
				return errors.New("a row that cannot be sealed here")
			}
			if err := vault.Put(tx, key, r.Value); err != nil {
				return err
			}
			continue
		}
		if key == nil {
			key, bucket.FillPercent = r.Key, 1
		}
		if err := bucket.Put(key, r.Value); err != nil {
			return err
		}
	}
	return nil
}

func (c contents) create(tx *bbolt.Tx, r row) (err error) {
	switch r.Part {
	case partEvents:
		_, err = tx.Bucket(bucketEvents).CreateBucketIfNotExists([]byte(c.Resources[r.Item]))
	case partHusks:
		_, err = tx.Bucket(bucketHusks).CreateBucketIfNotExists([]byte(c.Resources[r.Item]))
	case partLedger:
		_, err = tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(c.Department))
	}
	return err
}

// check refuses a row that a node of this release would not have read.
func (c contents) check(r row) error {
	if r.Part < 0 || r.Item < 0 || r.Item >= c.items(r.Part) {
		return errors.New("a row of nothing that moves")
	}
	switch r.Part {
	case partEvents:
		if _, err := intact(r.Value); err != nil || len(r.Key) != 8 {
			return fmt.Errorf("resource %s: a row that is no event: %w", c.Resources[r.Item], err)
		}
	case partHusks:
		if _, err := decodeHusk(r.Value); err != nil && len(r.Value) > 0 || len(r.Key) != 8 {
			return fmt.Errorf("resource %s: a row that is no husk: %w", c.Resources[r.Item], err)
		}
	case partInboxes:
		if len(r.Key) != 8 {
			return errors.New("a row that is not of an inbox")
		}
	case partArrivals:
		if !c.provides(r.Value) {
			return errors.New("an arrival of another resource")
		}
	case partLedger:
		if len(r.Key) == 0 {
			return errors.New("a row that is not of a ledger")
		}
	case partCursors:
		if _, err := decodeCursor(r.Value); err != nil {
			return errors.New("a row that is no cursor")
		}
	case partBindings, partSinks, partTries:
		if !json.Valid(r.Value) { // its words are not repeated
			return errors.New("a row that is no binding, sink or attempt")
		}
	}
	return nil
}

// secret says that a row's value is in clear nowhere but on its way.
func (r row) secret() bool { return r.Part == partBindings || r.Part == partSinks }

// remove deletes rows that read gave here.
func (c contents) remove(tx *bbolt.Tx, rows []row) error {
	for _, r := range rows {
		bucket, key := c.bucket(tx, r.Part, r.Item)
		if key == nil {
			key = r.Key
		}
		var err error
		if r.Part == partInboxes {
			err = takeOut(tx, bucket, binary.BigEndian.Uint64(key))
		} else {
			err = bucket.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// chain adds a row to the digest of those before it, as far as it is the same on
// both nodes and may be on record: of a secret, that it is there. A value that was
// altered where it lies cannot be opened.
func (r row) chain(before [sha256.Size]byte) [sha256.Size]byte {
	if r.Part == partArrivals {
		r.Key = nil
	}
	if r.secret() {
		r.Value = nil
	}
	return r.link(before)
}

// link adds all of a row to the digest of those before it.
func (r row) link(before [sha256.Size]byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(before[:])
	h.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{byte(r.Part)}, uint32(r.Item)), uint32(len(r.Key))))
	h.Write(r.Key)
	h.Write(r.Value)
	return [sha256.Size]byte(h.Sum(nil))
}
