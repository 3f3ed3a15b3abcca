package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// A query whose answer was lost is asked again under the same request id, and counts
// once. The ids stand in the ledger of the department, by the hour in which each was
// first used, for a day.
//
//	"asked\x00" hour(8) id(16) → digest of the query(32) when it began, in milliseconds(8)

const (
	askedPrefix  = "asked\x00"
	rememberedBy = 24 // hours
	forgottenAt  = 16 // ids that are forgotten with each that is noted, at most
)

func askedHour(at time.Time) uint64 { return uint64(at.Unix() / int64(time.Hour/time.Second)) }

// askedKey gives the key of the query's request id in an hour.
func (a *asking) askedKey() func(hour uint64) []byte {
	id := sha256.Sum256([]byte(string(a.stage) + "\x00" + string(a.by.System) + "\x00" + a.request))
	return func(hour uint64) []byte {
		key := binary.BigEndian.AppendUint64([]byte(askedPrefix), hour)
		return append(key, id[:16]...)
	}
}

// askedBefore is where it stands that a query was let through before, nil for not, and
// when it began.
type askedBefore struct {
	key   []byte
	began time.Time
}

// before finds whether the query was let through before under its request id;
// CodeRequestConflict where another was.
func (a *asking) before(tx *bbolt.Tx, at seat) (askedBefore, error) {
	ledger := tx.Bucket(bucketLedger).Bucket([]byte(at.department))
	if ledger == nil || a.request == "" {
		return askedBefore{}, nil
	}
	now, keyIn := askedHour(a.x.Now()), a.askedKey()
	for back := range uint64(rememberedBy + 1) {
		key := keyIn(now - back)
		value := ledger.Get(key)
		digest, rest := value[:min(sha256.Size, len(value))], value[min(sha256.Size, len(value)):]
		switch {
		case value == nil:
		case bytes.Equal(digest, a.digest[:]):
			before := askedBefore{key: key}
			if len(rest) == 8 {
				before.began = time.UnixMilli(int64(binary.BigEndian.Uint64(rest))).UTC()
			}
			return before, nil
		default:
			return askedBefore{}, bus.E(bus.CodeRequestConflict, bus.Defect{
				Field: "Idempotency-Key", Problem: bus.Text{ZH: "同一编号此前用于另一查询", EN: "it was used for another query before"}, Allowed: "the same query again, or a new id",
			})
		}
	}
	return askedBefore{}, nil
}

// note remembers the query's request id and when it began, where it was not known
// before, or began anew, and forgets some of those that are old.
func (a *asking) note(tx *bbolt.Tx, at seat, before askedBefore) error {
	if a.request == "" || before.key != nil && before.began.Equal(a.record.Began) {
		return nil
	}
	ledger, err := tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(at.department))
	if err != nil {
		return err
	}
	now := askedHour(a.x.Now())
	oldest := binary.BigEndian.AppendUint64([]byte(askedPrefix), now-rememberedBy)
	cursor := ledger.Cursor()
	for range forgottenAt {
		key, _ := cursor.Seek([]byte(askedPrefix))
		if key == nil || bytes.Compare(key, oldest) >= 0 {
			break
		}
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	key := before.key
	if key == nil {
		key = a.askedKey()(now)
	}
	return ledger.Put(key, binary.BigEndian.AppendUint64(a.digest[:], uint64(a.record.Began.UnixMilli())))
}
