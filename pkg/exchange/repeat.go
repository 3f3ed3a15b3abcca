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
//	"asked\x00" hour(8) id(16) → digest of the query(32)

const (
	askedPrefix  = "asked\x00"
	rememberedBy = 24 // hours
	forgottenAt  = 16 // ids that are forgotten with each that is noted, at most
)

func askedHour(at time.Time) uint64 { return uint64(at.Unix() / int64(time.Hour/time.Second)) }

func (a *asking) askedKey(hour uint64) []byte {
	id := sha256.Sum256([]byte(string(a.stage) + "\x00" + string(a.by.System) + "\x00" + a.request))
	key := binary.BigEndian.AppendUint64([]byte(askedPrefix), hour)
	return append(key, id[:16]...)
}

// repeats reports whether the query was let through before under its request id;
// CodeRequestConflict where another was.
func (a *asking) repeats(tx *bbolt.Tx, at seat) (bool, error) {
	ledger := tx.Bucket(bucketLedger).Bucket([]byte(at.department))
	if ledger == nil || a.request == "" {
		return false, nil
	}
	now := askedHour(a.x.Now())
	for back := range uint64(rememberedBy + 1) {
		digest := ledger.Get(a.askedKey(now - back))
		switch {
		case digest == nil:
		case bytes.Equal(digest, a.digest[:]):
			return true, nil
		default:
			return false, bus.E(bus.CodeRequestConflict, bus.Defect{
				Field: "Idempotency-Key", Problem: bus.Text{ZH: "同一编号此前用于另一查询", EN: "it was used for another query before"}, Allowed: "the same query again, or a new id",
			})
		}
	}
	return false, nil
}

// note remembers the query's request id, and forgets some of those that are old.
func (a *asking) note(tx *bbolt.Tx, at seat) error {
	if a.request == "" {
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
	return ledger.Put(a.askedKey(now), a.digest[:])
}
