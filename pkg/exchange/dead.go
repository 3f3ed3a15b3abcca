package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"strconv"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"go.etcd.io/bbolt"
)

// Dead letters are events that a sink did not take after all attempts. They lie in the
// ledger of the consumer, and move with it.
const deadPrefix = "dead\x00"

// deadLetter is one as it is kept: with the event as it came to the inbox, on which it
// is decided again when it is redriven.
type deadLetter struct {
	bus.DeadLetter
	Event json.RawMessage `json:"event"`
}

func deadKey(id bus.SubscriptionID, number uint64) []byte {
	return append(deadKeys(id), sequenceKey(number)...)
}

// deadKeys is what the keys of a subscription's dead letters begin with.
func deadKeys(id bus.SubscriptionID) []byte { return []byte(deadPrefix + string(id) + "\x00") }

// bury gives up on the event that comes next: it leaves the inbox, and those behind it
// go on.
func (p *pusher) bury(ctx context.Context, f flow, t trying) error {
	x := p.x
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		if err := tx.Bucket(bucketTries).Delete([]byte(p.id)); err != nil {
			return err
		}
		inbox := tx.Bucket(bucketInbox).Bucket([]byte(p.id))
		if inbox == nil || inbox.Get(sequenceKey(t.Number)) == nil {
			return nil // acknowledged, or dropped, meanwhile
		}
		data := bytes.Clone(inbox.Get(sequenceKey(t.Number)))
		e, err := event.Unmarshal(data)
		if err != nil {
			return err
		}
		row, err := json.Marshal(deadLetter{bus.DeadLetter{
			Number: t.Number, Source: e.Source(), ID: e.ID(), Type: e.Type(), At: x.Now().UTC(), Attempts: t.Attempts,
		}, data})
		if err != nil {
			return err
		}
		ledger, err := tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(f.consumer.department))
		if err != nil {
			return err
		}
		if err := ledger.Put(deadKey(p.id, t.Number), row); err != nil {
			return err
		}
		if err := takeOut(tx, inbox, t.Number); err != nil {
			return err
		}
		record := f.letter(audit.KindDeadLettered, bus.Principal{Node: x.Self}, t.Number, data)
		record.Code = faultOf(t.Attempts[len(t.Attempts)-1])
		return x.append(tx, record)
	})
}

// letter is the record of a step with one dead letter.
func (f flow) letter(kind audit.Kind, by bus.Principal, number uint64, data []byte) audit.Record {
	record := f.record([]numbered{{Sequence: number, stored: stored{Digest: sha256.Sum256(data)}}})
	record.Kind, record.Principal = kind, by
	return record
}

// DeadLetters lists those of a subscription behind a number, oldest first, up to limit
// of them; more says that there are others.
func (x *Exchange) DeadLetters(by bus.Principal, id bus.SubscriptionID, after uint64, limit int) (letters []bus.DeadLetter, more bool, err error) {
	f, err := x.own(by, id)
	if err != nil {
		return nil, false, err
	}
	letters = []bus.DeadLetter{}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		ledger := tx.Bucket(bucketLedger).Bucket([]byte(f.consumer.department))
		if ledger == nil {
			return nil
		}
		prefix := deadKeys(id)
		cursor := ledger.Cursor()
		for key, row := cursor.Seek(deadKey(id, after+1)); bytes.HasPrefix(key, prefix); key, row = cursor.Next() {
			if more = len(letters) == limit; more {
				return nil
			}
			var d bus.DeadLetter
			if err := json.Unmarshal(row, &d); err != nil {
				return err
			}
			letters = append(letters, d)
		}
		return nil
	})
	return letters, more, err
}

// DeadLetter shows one of a subscription's.
func (x *Exchange) DeadLetter(by bus.Principal, id bus.SubscriptionID, number uint64) (letter bus.DeadLetter, err error) {
	f, err := x.own(by, id)
	if err != nil {
		return letter, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		d, err := f.dead(tx, number)
		letter = d.DeadLetter
		return err
	})
	return letter, err
}

// dead reads a dead letter.
func (f flow) dead(tx *bbolt.Tx, number uint64) (d deadLetter, err error) {
	ledger := tx.Bucket(bucketLedger).Bucket([]byte(f.consumer.department))
	if ledger == nil || ledger.Get(deadKey(f.subscription.ID, number)) == nil {
		return d, bus.NotFound("dead letter", strconv.FormatUint(number, 10))
	}
	return d, json.Unmarshal(ledger.Get(deadKey(f.subscription.ID, number)), &d)
}

// Redrive puts a dead letter back into the inbox, where it comes first. It is decided
// on again before it is handed out.
func (x *Exchange) Redrive(ctx context.Context, by bus.Principal, id bus.SubscriptionID, number uint64) error {
	err := x.exhume(ctx, by, id, number, audit.KindRedriven, func(tx *bbolt.Tx, data []byte) error {
		return putInbox(tx, id, numbered{Sequence: number, stored: stored{Event: data}})
	})
	if err == nil {
		x.inboxes.ring(id)
	}
	return err
}

// Discard forgets a dead letter for good, on record.
func (x *Exchange) Discard(ctx context.Context, by bus.Principal, id bus.SubscriptionID, number uint64) error {
	return x.exhume(ctx, by, id, number, audit.KindDiscarded, func(*bbolt.Tx, []byte) error { return nil })
}

func (x *Exchange) exhume(ctx context.Context, by bus.Principal, id bus.SubscriptionID, number uint64, kind audit.Kind, then func(*bbolt.Tx, []byte) error) error {
	f, err := x.own(by, id)
	if err != nil {
		return err
	}
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, f.consumer); err != nil {
			return err
		}
		d, err := f.dead(tx, number)
		if err != nil {
			return err
		}
		ledger := tx.Bucket(bucketLedger).Bucket([]byte(f.consumer.department))
		if err := ledger.Delete(deadKey(id, number)); err != nil {
			return err
		}
		if err := then(tx, d.Event); err != nil {
			return err
		}
		return x.append(tx, f.letter(kind, by, number, d.Event))
	})
}
