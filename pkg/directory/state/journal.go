package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// keptEntries is how many entries of the log the journal reaches back: days of an
// ordinary province's writes.
const keptEntries = 100_000

// place is where an entry is in the log: its index, then its turn among the
// entries of that index; big-endian, so that places sort as the log does.
type place [12]byte

func placeOf(index bus.Revision, turn uint32) (p place) {
	binary.BigEndian.PutUint64(p[:8], uint64(index))
	binary.BigEndian.PutUint32(p[8:], turn)
	return p
}

func (p place) index() bus.Revision { return bus.Revision(binary.BigEndian.Uint64(p[:8])) }

// journalled is what the journal keeps of an entry, under its place: what it
// was answered, so that a repeated request is answered as before, and what it
// changed, for those who follow.
type journalled struct {
	At      time.Time      `json:"at"`
	Request []byte         `json:"request,omitempty"` // what the request is known by
	Asked   []byte         `json:"asked,omitempty"`   // digest of what it asked for
	Result  *Result        `json:"result,omitempty"`
	Changes []loggedChange `json:"changes,omitempty"`
}

type loggedChange struct {
	Table Table           `json:"table"`
	Key   string          `json:"key"`
	Was   json.RawMessage `json:"was,omitempty"` // present: it was deleted
}

// reused refuses a request id that comes again with something else to do: to
// answer it as the first would lose the second in silence.
var reused = &Refusal{bus.CodeInUse, []bus.Defect{{
	Field:   "request",
	Problem: bus.Text{ZH: "请求标识已用于另一内容的写入", EN: "this request id was used for a write of another content"},
	Allowed: "a new request id",
}}}

// requests finds where in the journal a request was answered. It is derived from
// the journal and held in memory, so that a write touches the journal's last page
// and not a page of its own: a few megabytes.
type requests map[requestKey]place

// requestKey is what a request is the same by, in a fixed length, for a request
// id is as long as its maker likes.
type requestKey [sha256.Size]byte

func keyOf(e command.Entry) requestKey {
	h := sha256.New()
	for _, part := range []string{e.Principal.String(), string(e.Type), e.Request} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return requestKey(h.Sum(nil))
}

// askedFor stands for what an entry asks for. The time it was proposed, and by
// which node, differ between repeats.
func askedFor(e command.Entry) []byte {
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:8], uint64(e.Version))
	binary.BigEndian.PutUint64(numbers[8:], uint64(e.Expect))
	h := sha256.New()
	h.Write(numbers[:])
	h.Write(e.Body)
	return h.Sum(nil)
}

// requests reads the journal's requests.
func (t *Tx) requests() requests {
	found := requests{}
	cursor := t.tx.Bucket([]byte(journal)).Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if of := decodeJournalled(k, v).Request; of != nil {
			found[requestKey(of)] = place(k)
		}
	}
	return found
}

func (t *Tx) journalled(at place) (journalled, bool) {
	v := t.bytes(journal, string(at[:]))
	if v == nil {
		return journalled{}, false
	}
	return decodeJournalled(at[:], v), true
}

func decodeJournalled(k, v []byte) journalled {
	return decoded[journalled](journal, string(k), v)
}

// answered gives the answer to a repeated request: the first one's, or the
// refusal of one that asks for something else.
func (b *batch) answered(index bus.Revision, e command.Entry) (Result, bool) {
	if e.Request == "" {
		return Result{}, false
	}
	at, ok := b.find(keyOf(e))
	if !ok {
		return Result{}, false
	}
	before, ok := b.tx.journalled(at)
	if !ok || before.Result == nil {
		return Result{}, false
	}
	if !bytes.Equal(before.Asked, askedFor(e)) {
		return Result{Index: index, Refusal: reused}, true
	}
	return *before.Result, true
}

// find looks for a request in this batch, then in those before it.
func (b *batch) find(key requestKey) (place, bool) {
	if at, ok := b.added[key]; ok {
		return at, true
	}
	at, ok := b.known[key]
	return at, ok && !b.forgot[key]
}

// journal keeps what an entry was answered and what it changes; call it before
// the changes are written. It forgets the entries of more than keptEntries ago.
func (b *batch) journal(index bus.Revision, e command.Entry, result Result, written []Change) error {
	at := placeOf(index, b.turn(index))
	j := journalled{At: e.At, Changes: b.tx.watchedOf(written)}
	if e.Request != "" {
		key := keyOf(e)
		j.Request, j.Asked, j.Result = key[:], askedFor(e), &result
		b.added[key] = at
	}
	if j.Result == nil && j.Changes == nil {
		return nil
	}
	if err := b.tx.put(journal, string(at[:]), j); err != nil {
		return err
	}
	if index <= keptEntries {
		return nil
	}
	return b.forget(index - keptEntries)
}

// forget takes the entries before horizon out of the journal.
func (b *batch) forget(horizon bus.Revision) error {
	cursor := b.tx.tx.Bucket([]byte(journal)).Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.First() {
		old := place(k).index()
		if old >= horizon {
			return nil
		}
		if of := decodeJournalled(k, v).Request; of != nil {
			b.forgot[requestKey(of)] = true
		}
		if err := cursor.Delete(); err != nil {
			return err
		}
		if err := b.tx.put(meta, keyFloor, old); err != nil {
			return err
		}
	}
	return nil
}

// watchedOf gives what the journal tells of changes that are about to be written.
func (t *Tx) watchedOf(written []Change) []loggedChange {
	type value struct {
		table Table
		key   string
	}
	var changes []loggedChange
	seen := make(map[value]bool, len(written))
	for _, c := range slices.Backward(written) { // the last change of a value is the one that stands
		at := value{c.Table, c.Key}
		if seen[at] || !slices.Contains(watched, c.Table) {
			continue
		}
		seen[at] = true
		change := loggedChange{Table: c.Table, Key: c.Key}
		if c.Value == nil {
			if change.Was = t.bytes(c.Table, c.Key); change.Was == nil {
				continue // it was not there
			}
		}
		changes = append(changes, change)
	}
	slices.Reverse(changes)
	return changes
}
