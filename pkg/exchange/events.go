package exchange

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"go.etcd.io/bbolt"
)

// stored is an event in its resource's log: when it arrived, the digest of its
// canonical form, and that form.
type stored struct {
	At     time.Time
	Digest [32]byte
	Event  []byte
}

// On disk: format 1, Unix nanoseconds (8 bytes), digest (32 bytes), event.
const (
	storedFormat = 1
	storedHeader = 1 + 8 + 32
)

func (s stored) encode() []byte {
	b := make([]byte, 0, storedHeader+len(s.Event))
	b = append(b, storedFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixNano()))
	b = append(b, s.Digest[:]...)
	return append(b, s.Event...)
}

// decodeStored reads what encode wrote. The event's bytes belong to the
// transaction.
func decodeStored(b []byte) (stored, error) {
	if len(b) < storedHeader || b[0] != storedFormat {
		return stored{}, errors.New("stored event is damaged or of a newer release")
	}
	s := stored{At: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:9]))).UTC(), Event: b[storedHeader:]}
	copy(s.Digest[:], b[9:storedHeader])
	return s, nil
}

// intact reads a stored event and refuses one that is not what was accepted.
func intact(b []byte) (stored, error) {
	s, err := decodeStored(b)
	if err == nil && sha256.Sum256(s.Event) != s.Digest {
		return stored{}, errors.New("stored event was altered: its digest does not match")
	}
	return s, err
}

func sequenceKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// tail returns the sequence number of a resource's newest event, 0 before the first.
func tail(tx *bbolt.Tx, resource bus.ResourceID) uint64 {
	log := tx.Bucket(bucketEvents).Bucket([]byte(resource))
	if log == nil {
		return 0
	}
	key, _ := log.Cursor().Last()
	if key == nil {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// eventAt returns one event of a resource; ok is false where there is none.
func eventAt(tx *bbolt.Tx, resource bus.ResourceID, sequence uint64) (s stored, ok bool, err error) {
	log := tx.Bucket(bucketEvents).Bucket([]byte(resource))
	if log == nil {
		return stored{}, false, nil
	}
	data := log.Get(sequenceKey(sequence))
	if data == nil {
		return stored{}, false, nil
	}
	s, err = intact(data)
	return s, err == nil, err
}

// numbered is an event with its place in its resource's log.
type numbered struct {
	Sequence uint64
	stored
	read *event.Event // once it was read
}

// event reads the event: filters, policies and obligations look at it in turn.
func (n *numbered) event() (event.Event, error) {
	if n.read == nil {
		e, err := event.Unmarshal(n.Event)
		if err != nil {
			return e, fmt.Errorf("event %d: %w", n.Sequence, err)
		}
		n.read = &e
	}
	return *n.read, nil
}

// eventsFrom copies the events of a resource from sequence number first on, up
// to count events or about size bytes, but at least one where there is one.
func eventsFrom(tx *bbolt.Tx, resource bus.ResourceID, first uint64, count, size int) ([]numbered, error) {
	log := tx.Bucket(bucketEvents).Bucket([]byte(resource))
	if log == nil {
		return nil, nil
	}
	var events []numbered
	cursor := log.Cursor()
	for key, data := cursor.Seek(sequenceKey(first)); key != nil; key, data = cursor.Next() {
		if len(events) > 0 && (len(events) == count || size < len(data)) {
			break
		}
		s, err := intact(data)
		if err != nil {
			return nil, fmt.Errorf("resource %s, event %d: %w", resource, binary.BigEndian.Uint64(key), err)
		}
		s.Event = append([]byte(nil), s.Event...)
		size -= len(data)
		events = append(events, numbered{Sequence: binary.BigEndian.Uint64(key), stored: s})
	}
	return events, nil
}

// sequenceSince returns the sequence number of a resource's first event that
// arrived at or after t, or one past the newest.
func sequenceSince(tx *bbolt.Tx, resource bus.ResourceID, t time.Time) (uint64, error) {
	next := tail(tx, resource) + 1
	log := tx.Bucket(bucketEvents).Bucket([]byte(resource))
	if log == nil {
		return next, nil
	}
	cursor := log.Cursor()
	for key, data := cursor.Last(); key != nil; key, data = cursor.Prev() {
		s, err := decodeStored(data)
		if err != nil {
			return 0, fmt.Errorf("resource %s: %w", resource, err)
		}
		if s.At.Before(t) {
			break
		}
		next = binary.BigEndian.Uint64(key)
	}
	return next, nil
}
