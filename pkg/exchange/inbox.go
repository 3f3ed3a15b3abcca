package exchange

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

// An inbox weighs what its events do. bbolt keeps a number with every bucket: that of an
// inbox is its weight, that of the bucket they are in the weight of all.
const eventWeight = 32 // of one beyond its bytes

// inbox is how heavy one inbox may be now. All of them have half of the file; one may
// weigh as much as they leave free of that, so that however many are never emptied there
// is room for those that are (ADR 0029).
func (r Retention) inbox(tx *bbolt.Tx) int64 {
	most := cmp.Or(r.Inbox, math.MaxInt64)
	if r.Bytes == 0 {
		return most
	}
	return min(most, r.Bytes/2-int64(tx.Bucket(bucketInbox).Sequence()))
}

// holds refuses events that the inbox of a subscription has no room for. An empty one
// takes any batch.
func (r Retention) holds(tx *bbolt.Tx, id bus.SubscriptionID, events []numbered) error {
	inbox := tx.Bucket(bucketInbox).Bucket([]byte(id))
	if inbox == nil || inbox.Sequence() == 0 {
		return nil
	}
	weight := int64(inbox.Sequence())
	for _, e := range events {
		weight += eventWeight + int64(len(e.Event))
	}
	most := r.inbox(tx)
	if weight <= most {
		return nil
	}
	return bus.E(bus.CodeInboxFull, bus.Defect{
		Field: "inbox_bytes", Problem: bus.Text{ZH: "订阅 " + string(id) + " 的收件箱已满", EN: "the inbox of subscription " + string(id) + " is full"},
		Allowed: fmt.Sprintf("%d bytes; it goes on by itself once some of it is acknowledged", max(most, 0)),
	})
}

// Inboxes is how much waits here for consumers.
type Inboxes struct {
	Bytes int64              // of all
	Full  []bus.Subscription // whose inbox has no room for a whole batch more
}

// Inboxes tells how much waits here for consumers, and of which subscriptions nothing
// more is taken for that.
func (x *Exchange) Inboxes() (now Inboxes, err error) {
	var full []bus.SubscriptionID
	err = x.Store.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketInbox)
		now.Bytes = int64(all.Sequence())
		most := x.Retention.inbox(tx)
		return all.ForEachBucket(func(id []byte) error {
			if weight := int64(all.Bucket(id).Sequence()); weight > 0 && weight > most-batchBytes {
				full = append(full, bus.SubscriptionID(id))
			}
			return nil
		})
	})
	if err != nil || len(full) == 0 {
		return now, err
	}
	return now, x.Directory.View(func(tx *state.Tx) error {
		for _, id := range full {
			if s, ok := tx.Subscription(id); ok {
				now.Full = append(now.Full, s)
			}
		}
		return nil
	})
}

// weigh adds to the weight of an inbox.
func weigh(tx *bbolt.Tx, inbox *bbolt.Bucket, by int64) error {
	all := tx.Bucket(bucketInbox)
	return errors.Join(inbox.SetSequence(inbox.Sequence()+uint64(by)), all.SetSequence(all.Sequence()+uint64(by)))
}

// weighAll weighs the inboxes of a file in which that was not done yet.
func weighAll(tx *bbolt.Tx) error {
	all := tx.Bucket(bucketInbox)
	if all.Sequence() > 0 {
		return nil
	}
	return all.ForEachBucket(func(id []byte) error {
		inbox, weight := all.Bucket(id), int64(0)
		err := inbox.ForEach(func(_, data []byte) error {
			weight += eventWeight + int64(len(data))
			return nil
		})
		if err != nil || weight == 0 {
			return err
		}
		return weigh(tx, inbox, weight)
	})
}

// putInbox puts events into an inbox.
func putInbox(tx *bbolt.Tx, id bus.SubscriptionID, events ...numbered) error {
	inbox, err := tx.Bucket(bucketInbox).CreateBucketIfNotExists([]byte(id))
	if err != nil {
		return err
	}
	inbox.FillPercent = 1
	weight := int64(0)
	for _, e := range events {
		if err := takeOut(tx, inbox, e.Sequence); err != nil { // a dead letter that also came anew
			return err
		}
		if err := inbox.Put(sequenceKey(e.Sequence), e.Event); err != nil {
			return err
		}
		weight += eventWeight + int64(len(e.Event))
	}
	return weigh(tx, inbox, weight)
}

// takeOut removes one event from an inbox, where it is in it.
func takeOut(tx *bbolt.Tx, inbox *bbolt.Bucket, number uint64) error {
	key := sequenceKey(number)
	data := inbox.Get(key)
	if data == nil {
		return nil
	}
	weight := eventWeight + int64(len(data))
	return errors.Join(inbox.Delete(key), weigh(tx, inbox, -weight))
}

// waiting copies the events in an inbox behind a number, oldest first, up to count
// of them or about size bytes, but at least one where there is one.
func waiting(tx *bbolt.Tx, id bus.SubscriptionID, after uint64, count, size int) []numbered {
	inbox := tx.Bucket(bucketInbox).Bucket([]byte(id))
	if inbox == nil {
		return nil
	}
	var events []numbered
	cursor := inbox.Cursor()
	for key, data := cursor.Seek(sequenceKey(after + 1)); key != nil && len(events) < count; key, data = cursor.Next() {
		if size -= len(data); size < 0 && len(events) > 0 {
			break
		}
		events = append(events, numbered{
			Sequence: binary.BigEndian.Uint64(key),
			stored:   stored{Digest: sha256.Sum256(data), Event: append([]byte(nil), data...)},
		})
	}
	return events
}

// clearInbox removes the events from one number up to another from an inbox and says
// how many they were, and which was the first and the last.
func clearInbox(tx *bbolt.Tx, id bus.SubscriptionID, from, upTo uint64) (first, last uint64, count int, err error) {
	inbox := tx.Bucket(bucketInbox).Bucket([]byte(id))
	if inbox == nil {
		return 0, 0, 0, nil
	}
	weight := int64(0)
	cursor := inbox.Cursor()
	for key, data := cursor.Seek(sequenceKey(from)); key != nil && binary.BigEndian.Uint64(key) <= upTo; key, data = cursor.Seek(sequenceKey(from)) {
		last = binary.BigEndian.Uint64(key)
		if count++; count == 1 {
			first = last
		}
		weight += eventWeight + int64(len(data))
		if err := cursor.Delete(); err != nil {
			return 0, 0, 0, err
		}
	}
	return first, last, count, weigh(tx, inbox, -weight)
}

// discard removes the events that do not pass from an inbox.
func discard(tx *bbolt.Tx, id bus.SubscriptionID, going []sifted) error {
	inbox := tx.Bucket(bucketInbox).Bucket([]byte(id))
	for _, s := range going {
		if s.fate == toPass {
			continue
		}
		if err := takeOut(tx, inbox, s.Sequence); err != nil {
			return err
		}
	}
	return nil
}
