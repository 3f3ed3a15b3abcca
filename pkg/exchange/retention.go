package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Retention bounds what a node keeps of events.
//
// An event goes once it was kept long enough and all subscriptions to its resource
// are past it; where the file has almost no room left, those that were not kept as
// long go too, the oldest first. One that a subscription has yet to get never goes:
// then nothing new is taken (bus.CodeLogFull). As long as events are kept, at least,
// a repetition of one is known, also after the event itself has gone.
type Retention struct {
	Kept  time.Duration // 0: for ever
	Bytes int64         // of the exchange file that hold something; 0: as the disk has room
	Inbox int64         // bytes that wait for one subscription; 0: as Bytes has room
}

// bucketHusks keeps what a repetition of an event that has gone is told by: resource
// → sequence → husk.
var bucketHusks = []byte("husks")

const (
	trimEvery  = time.Minute
	trimEvents = 2000                  // that go in one commit
	nearlyFull = 0.9                   // of Bytes: from there on room is made
	trimLeast  = 10 * time.Millisecond // the age that counts as none
)

// logRoom refuses events while the log is full, and has room made.
func (x *Exchange) logRoom() error {
	full, err := x.fuller(1)
	if err != nil || !full {
		return err
	}
	poke(x.trimming)
	return bus.E(bus.CodeLogFull, bus.Defect{
		Field:   "log_bytes",
		Problem: bus.Text{ZH: "事件日志已达上限，其中的事件尚有订阅未取走", EN: "the log of events has reached its bound, with events that subscriptions have yet to get"},
		Allowed: fmt.Sprintf("%d bytes; it goes on by itself once they have", x.Retention.Bytes),
	})
}

// fuller reports whether more than a part of what the file may hold is taken.
func (x *Exchange) fuller(part float64) (bool, error) {
	if x.Retention.Bytes == 0 {
		return false, nil
	}
	usage, err := x.Store.Usage()
	return float64(usage.Live) >= part*float64(x.Retention.Bytes), err
}

// keepTrimmed trims now and then, and when there is no room.
func (x *Exchange) keepTrimmed(ctx context.Context) {
	every := trimEvery
	if kept := x.Retention.Kept; kept > 0 { // what is kept for less goes as soon
		every = min(every, kept)
	}
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-x.trimming:
		case <-ctx.Done():
			return
		}
		if err := x.trim(ctx); err != nil && ctx.Err() == nil {
			x.Logger.Error("trim the log of events", "error", err)
		}
	}
}

// trim lets go what need not be kept, once at a time.
func (x *Exchange) trim(ctx context.Context) error {
	x.trims.Lock()
	defer x.trims.Unlock()
	logs, err := x.logs()
	if err != nil {
		return err
	}
	for age := x.Retention.Kept; ; age /= 2 {
		if age > 0 {
			for _, l := range logs {
				if err := x.trimLog(ctx, l, x.Now().Add(-age)); err != nil {
					return err
				}
			}
		}
		if tight, err := x.fuller(nearlyFull); err != nil || !tight || age < trimLeast {
			return errors.Join(err, x.shelve(ctx), x.forget(ctx), x.unshelve(ctx))
		}
	}
}

// eventLog is the log of a resource that is provided here.
type eventLog struct {
	resource      bus.ResourceID
	at            seat
	subscriptions []bus.Subscription
}

func (x *Exchange) logs() (logs []eventLog, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		subscriptions := map[bus.ResourceID][]bus.Subscription{}
		for s := range tx.Subscriptions() {
			subscriptions[s.Resource] = append(subscriptions[s.Resource], s)
		}
		for r := range tx.Resources() {
			provider, ok := tx.Department(r.Provider)
			if at := seatOf(tx, provider); ok && at.node == x.Self && !at.moving {
				logs = append(logs, eventLog{r.ID, at, subscriptions[r.ID]})
			}
		}
		return nil
	})
	return logs, err
}

// trimLog lets go of one log what arrived before a time.
func (x *Exchange) trimLog(ctx context.Context, l eventLog, before time.Time) error {
	for {
		old := false
		err := x.Store.View(func(tx *bbolt.Tx) error {
			gone, err := l.goes(tx, before, 1)
			old = len(gone) > 0
			return err
		})
		if err != nil || !old { // most have nothing old, and cost no commit
			return err
		}
		err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return x.trimSome(tx, l, before) })
		if code := bus.CodeOf(err); code == bus.CodeMoving || code == bus.CodeUnavailable {
			return nil // it is on its way to another node
		}
		if err != nil {
			return err
		}
	}
}

// goes copies, without their content, the oldest events of a log that may go. The
// newest one stays: numbers are given out after it.
func (l eventLog) goes(tx *bbolt.Tx, before time.Time, count int) (gone []numbered, err error) {
	log := tx.Bucket(bucketEvents).Bucket([]byte(l.resource))
	if log == nil {
		return nil, nil
	}
	floor := sequenceKey(tail(tx, l.resource))
	for _, s := range l.subscriptions {
		at, begun, err := cursorOf(tx, s.ID)
		if err != nil || !begun || at.run < s.Replays {
			return nil, err // where it begins, or begins anew, is yet to be found out
		}
		if next := sequenceKey(at.next); bytes.Compare(next, floor) < 0 {
			floor = next
		}
	}
	cursor := log.Cursor()
	for key, data := cursor.First(); key != nil && bytes.Compare(key, floor) < 0 && len(gone) < count; key, data = cursor.Next() {
		s, err := decodeStored(data)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", l.resource, err)
		}
		if !s.At.Before(before) {
			break
		}
		gone = append(gone, numbered{Sequence: binary.BigEndian.Uint64(key), stored: s})
	}
	return gone, nil
}

// trimSome lets some events go, which leave their husks and are on record.
func (x *Exchange) trimSome(tx *bbolt.Tx, l eventLog, before time.Time) error {
	if err := keeps(tx, l.at); err != nil {
		return err
	}
	gone, err := l.goes(tx, before, trimEvents)
	if err != nil || len(gone) == 0 {
		return err
	}
	husks, err := tx.Bucket(bucketHusks).CreateBucketIfNotExists([]byte(l.resource))
	if err != nil {
		return err
	}
	husks.FillPercent = 1
	digests := make([][32]byte, len(gone))
	for i, n := range gone {
		digests[i] = n.Digest
		if forgotten(husks, n.Sequence) { // no arrival leads to it: nothing would let its husk go
			if err := husks.Delete(sequenceKey(n.Sequence)); err != nil {
				return err
			}
			continue
		}
		h, err := huskOf(n.stored)
		if err != nil {
			return err
		}
		if err := husks.Put(sequenceKey(n.Sequence), h.encode()); err != nil {
			return err
		}
	}
	log := tx.Bucket(bucketEvents).Bucket([]byte(l.resource))
	for _, n := range gone {
		if err := log.Delete(sequenceKey(n.Sequence)); err != nil {
			return err
		}
	}
	return x.append(tx, audit.Record{
		Kind: audit.KindAdministered, Principal: bus.Principal{Node: x.Self}, Resource: l.resource, Provider: l.at.department,
		First: gone[0].Sequence, Last: gone[len(gone)-1].Sequence, Events: len(gone), Digest: audit.Digest(digests...),
		Detail: "events kept no longer: all subscriptions are past them",
	})
}

// husk is what is left of an event that has gone: enough to know it again.
type husk struct {
	at     time.Time
	digest [32]byte
	stamps
}

func huskOf(s stored) (husk, error) {
	stamps, err := stampsOf(s.Event)
	return husk{s.At, s.Digest, stamps}, err
}

// On disk: as a stored event, with its stamps on two lines in place of the event.
func (h husk) encode() []byte {
	lines := h.recorded + "\n"
	if h.schema != nil {
		lines += h.schema.String()
	}
	return stored{h.at, h.digest, []byte(lines)}.encode()
}

func decodeHusk(data []byte) (husk, error) {
	s, err := decodeStored(data)
	recorded, uri, _ := bytes.Cut(s.Event, []byte("\n"))
	h := husk{s.At, s.Digest, stamps{recorded: string(recorded)}}
	if len(uri) > 0 {
		h.schema = types.ParseURI(string(uri))
	}
	return h, err
}

// remembered is what tells a repetition of an event: its husk, made of it where it
// is still there.
func remembered(tx *bbolt.Tx, at Occurrence) (h husk, ok bool, err error) {
	have, ok, err := eventAt(tx, at.Resource, at.Sequence)
	if err != nil {
		return h, false, err
	}
	if ok {
		h, err = huskOf(have)
		return h, true, err
	}
	return huskAt(tx, at)
}

// forgotten reports whether the arrival of an event that is still there was dropped: an
// empty husk says so.
func forgotten(husks *bbolt.Bucket, sequence uint64) bool {
	data := husks.Get(sequenceKey(sequence))
	return data != nil && len(data) == 0
}

// huskAt returns the husk of an event that has gone; ok is false where there is none.
func huskAt(tx *bbolt.Tx, at Occurrence) (h husk, ok bool, err error) {
	husks := tx.Bucket(bucketHusks).Bucket([]byte(at.Resource))
	if husks == nil {
		return h, false, nil
	}
	data := husks.Get(sequenceKey(at.Sequence))
	if len(data) == 0 {
		return h, false, nil
	}
	h, err = decodeHusk(data)
	return h, true, err
}

// forget drops the arrivals, a block at once, that no repetition is expected of any
// more.
func (x *Exchange) forget(ctx context.Context) error {
	if x.Retention.Kept == 0 {
		return nil
	}
	for {
		var block uint64
		var old bool
		err := x.Store.View(func(tx *bbolt.Tx) (err error) {
			block, old, err = oldestBlock(tx, x.Now().Add(-x.Retention.Kept))
			return err
		})
		if err != nil || !old {
			return err
		}
		for more := true; more; {
			err := x.Store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
				more, err = dropArrivals(tx, block, trimEvents)
				return err
			})
			if err != nil {
				return err
			}
		}
		// The committer owns the filters. The block is empty on disk by now, whatever
		// becomes of this step.
		err = x.Store.Commit(ctx, func(*bbolt.Tx) error {
			x.arrivals.drop(block)
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// oldestBlock returns the first block of arrivals; old says that its ids are on the
// shelves and its newest arrival is from before a time.
func oldestBlock(tx *bbolt.Tx, before time.Time) (block uint64, old bool, err error) {
	cursor := tx.Bucket(bucketArrivals).Cursor()
	first, _ := cursor.First()
	if first == nil {
		return 0, false, nil
	}
	block = binary.BigEndian.Uint64(first) / blockSize
	if tx.Bucket(bucketIDs).Sequence() <= block {
		return block, false, nil
	}
	end := sequenceKey((block + 1) * blockSize)
	step := cursor.Prev
	if after, _ := cursor.Seek(end); after == nil {
		step = cursor.Last
	}
	for number, value := step(); number != nil; number, value = cursor.Prev() {
		h, ok, err := remembered(tx, occurrence(value))
		if err != nil {
			return block, false, err
		}
		if ok {
			return block, h.at.Before(before), nil
		}
	}
	return block, true, nil // nothing is left that they tell of
}

// dropArrivals deletes up to count arrivals of a block, and the husks that they lead
// to; more says that there are others. An event that is still there, for a subscription
// that has yet to get it, is to leave no husk.
func dropArrivals(tx *bbolt.Tx, block uint64, count int) (more bool, err error) {
	bucket, end := tx.Bucket(bucketArrivals), sequenceKey((block+1)*blockSize)
	var numbers [][]byte
	var told []Occurrence
	cursor := bucket.Cursor()
	for number, value := cursor.First(); number != nil && bytes.Compare(number, end) < 0; number, value = cursor.Next() {
		if len(numbers) == count {
			more = true
			break
		}
		numbers, told = append(numbers, bytes.Clone(number)), append(told, occurrence(value))
	}
	for i, number := range numbers {
		if err := dropHusk(tx, told[i]); err != nil {
			return false, err
		}
		if err := bucket.Delete(number); err != nil {
			return false, err
		}
	}
	return more, nil
}

func dropHusk(tx *bbolt.Tx, of Occurrence) error {
	husks, key := tx.Bucket(bucketHusks).Bucket([]byte(of.Resource)), sequenceKey(of.Sequence)
	if log := tx.Bucket(bucketEvents).Bucket([]byte(of.Resource)); log != nil && log.Get(key) != nil {
		husks, err := tx.Bucket(bucketHusks).CreateBucketIfNotExists([]byte(of.Resource))
		if err != nil {
			return err
		}
		return husks.Put(key, nil)
	}
	if husks == nil {
		return nil
	}
	return husks.Delete(key)
}
