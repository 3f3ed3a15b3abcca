package exchange

import (
	"encoding/binary"
	"errors"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// cursor is where a subscription has come to at the provider's node.
type cursor struct {
	next uint64 // sequence number to go on with
	run  uint64 // how often the subscription had been begun anew
	attempt
}

// attempt is the newest try to send a batch. It is on the disk before the batch leaves,
// with the decision that it leaves on: whoever comes later knows what may have left.
type attempt struct {
	number   uint64 // ascending, also where the cursor is lost: a time in ns
	upTo     uint64 // sequence number that may have left, of this attempt or one before; 0: none beyond the cursor
	decision string // that it leaves on; empty where upTo is 0
}

// On disk: next, run, number, upTo, 8 bytes each, and the decision; only as much of it as
// there is.
func decodeCursor(b []byte) (c cursor, err error) {
	switch {
	case len(b) == 8, len(b) == 16, len(b) >= 32:
	default:
		return c, errors.New("a row that is no cursor")
	}
	c.next = binary.BigEndian.Uint64(b)
	if len(b) > 8 {
		c.run = binary.BigEndian.Uint64(b[8:])
	}
	if len(b) > 16 {
		c.attempt = attempt{binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:]), string(b[32:])}
	}
	return c, nil
}

func cursorOf(tx *bbolt.Tx, id bus.SubscriptionID) (at cursor, begun bool, err error) {
	data := tx.Bucket(bucketCursors).Get([]byte(id))
	if data == nil {
		return at, false, nil
	}
	at, err = decodeCursor(data)
	return at, err == nil, err
}

func (c cursor) put(tx *bbolt.Tx, id bus.SubscriptionID) error {
	value := sequenceKey(c.next)
	if c.run > 0 || c.number > 0 {
		value = append(value, sequenceKey(c.run)...)
	}
	if c.number > 0 {
		value = append(append(append(value, sequenceKey(c.number)...), sequenceKey(c.upTo)...), c.decision...)
	}
	return tx.Bucket(bucketCursors).Put([]byte(id), value)
}

// past is the cursor of a run that has passed a sequence number.
func (c cursor) past(last, run uint64) cursor {
	c.next, c.run = last+1, run
	if c.upTo <= last {
		c.upTo, c.decision = 0, ""
	}
	return c
}
