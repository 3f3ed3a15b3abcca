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
}

// On disk: the number, and the run where that is not 0; 8 bytes each.
func decodeCursor(b []byte) (cursor, error) {
	switch len(b) {
	case 8:
		return cursor{next: binary.BigEndian.Uint64(b)}, nil
	case 16:
		return cursor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
	default:
		return cursor{}, errors.New("a row that is no cursor")
	}
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
	if c.run > 0 {
		value = append(value, sequenceKey(c.run)...)
	}
	return tx.Bucket(bucketCursors).Put([]byte(id), value)
}
