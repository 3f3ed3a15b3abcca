package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// An arrival says that an event was accepted: its key, its resource and its
// sequence number there. Arrivals are written in the order of arrival, so a
// commit touches the last page only, however long the log. They are looked up
// through a Bloom filter over each block of them, in memory: an event that no
// filter knows is new without a look at the disk; a block whose filter speaks
// up is read once for the whole publication.
type arrivals struct {
	blocks []*bloom.BloomFilter // a filter for each blockSize arrivals, nil where they are forgotten; owned by the committer
	probes uint                 // of each filter
}

const (
	keySize       = 24
	blockSize     = 1 << 16
	falsePositive = 1e-6
)

// arrivalKey identifies an event: half of it the event's id, so that an event
// can be found by id alone, half its source and resource.
type arrivalKey [keySize]byte

func keyOf(resource bus.ResourceID, source, id string) (key arrivalKey) {
	byID := sha256.Sum256([]byte(id))
	bySource := sha256.Sum256([]byte(string(resource) + "\x00" + source))
	copy(key[:12], byID[:])
	copy(key[12:], bySource[:])
	return key
}

func idPart(id string) []byte {
	h := sha256.Sum256([]byte(id))
	return h[:12]
}

// Occurrence is where an event is kept: the resource and its number there.
type Occurrence struct {
	Resource bus.ResourceID `json:"resource"`
	Sequence uint64         `json:"sequence"`
}

// openArrivals builds the filters from the file.
func openArrivals(tx *bbolt.Tx) *arrivals {
	_, probes := bloom.EstimateParameters(blockSize, falsePositive)
	a := &arrivals{probes: probes}
	cursor := tx.Bucket(bucketArrivals).Cursor()
	for number, value := cursor.First(); number != nil; number, value = cursor.Next() {
		a.note(binary.BigEndian.Uint64(number), value[:keySize])
	}
	return a
}

func (a *arrivals) note(number uint64, key []byte) {
	for uint64(len(a.blocks)) <= number/blockSize {
		a.blocks = append(a.blocks, nil)
	}
	block := &a.blocks[number/blockSize]
	if *block == nil {
		*block = bloom.NewWithEstimates(blockSize, falsePositive)
	}
	(*block).Add(key)
}

// drop forgets a block of which nothing is left in the file.
func (a *arrivals) drop(block uint64) {
	if block < uint64(len(a.blocks)) {
		a.blocks[block] = nil
	}
}

// add writes an arrival. The filter learns it before the commit; should that
// fail, the filter has one false positive more and nothing else.
func (a *arrivals) add(tx *bbolt.Tx, key arrivalKey, at Occurrence) error {
	bucket := tx.Bucket(bucketArrivals)
	bucket.FillPercent = 1 // numbers only grow
	number, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	value := append(key[:], sequenceKey(at.Sequence)...)
	a.note(number, key[:])
	return bucket.Put(sequenceKey(number), append(value, at.Resource...))
}

// find looks up many keys at once and returns those that arrived before.
func (a *arrivals) find(tx *bbolt.Tx, keys []arrivalKey) map[arrivalKey]Occurrence {
	found := map[arrivalKey]Occurrence{}
	if len(a.blocks) == 0 {
		return found
	}
	places := make([][]uint64, len(keys)) // the same in every filter, as they are of one size
	for i, key := range keys {
		places[i] = bloom.Locations(key[:], a.probes)
	}
	for block, filter := range a.blocks {
		if filter == nil {
			continue
		}
		wanted := map[arrivalKey]bool{}
		for i, key := range keys {
			if filter.TestLocations(places[i]) {
				wanted[key] = true
			}
		}
		if len(wanted) == 0 {
			continue
		}
		eachArrival(tx, uint64(block), func(key arrivalKey, at func() Occurrence) {
			if wanted[key] {
				found[key] = at()
			}
		})
	}
	return found
}

// findID returns every event with this CloudEvents id of which evidence may be left.
// It runs beside the committer and so reads without the filters: the shelves, and the
// arrivals that are not on them yet.
func findID(tx *bbolt.Tx, id string) ([]Occurrence, error) {
	want := idPart(id)
	found, err := onShelf(tx, want)
	block, _ := unshelved(tx)
	for ; block <= tx.Bucket(bucketArrivals).Sequence()/blockSize; block++ {
		eachArrival(tx, block, func(key arrivalKey, at func() Occurrence) {
			if bytes.Equal(key[:12], want) {
				found = append(found, at())
			}
		})
	}
	return found, err
}

func eachArrival(tx *bbolt.Tx, block uint64, visit func(arrivalKey, func() Occurrence)) {
	cursor := tx.Bucket(bucketArrivals).Cursor()
	end := sequenceKey((block + 1) * blockSize)
	for number, value := cursor.Seek(sequenceKey(block * blockSize)); number != nil && bytes.Compare(number, end) < 0; number, value = cursor.Next() {
		visit(arrivalKey(value[:keySize]), func() Occurrence { return occurrence(value) })
	}
}

// occurrence reads where the event of an arrival is kept.
func occurrence(arrival []byte) Occurrence {
	return Occurrence{Sequence: binary.BigEndian.Uint64(arrival[keySize : keySize+8]), Resource: bus.ResourceID(arrival[keySize+8:])}
}

// describe names an event for people.
func describe(source, id string) string { return fmt.Sprintf("%s %s", source, id) }
