package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Segment is a sealed file with a run of leaves, whole blocks of them: an export of a
// window, in zstd. The leaf that tells of it binds it to the tree.
type Segment struct {
	First  int64     `json:"first"` // leaf
	End    int64     `json:"end"`   // leaf that it ends before
	Digest string    `json:"digest"`
	Bytes  int64     `json:"bytes"`
	From   time.Time `json:"from"` // of its first leaf
	To     time.Time `json:"to"`   // of its last leaf
}

// SegmentLeaves is how many leaves a segment has at most.
const SegmentLeaves = 256 * blockLeaves

// waits is how long what would make a small segment waits for more, beyond the age
// that leaves are archived at.
const waits = 7 * 24 * time.Hour

// Name is the name of the segment's file.
func (s Segment) Name() string { return fmt.Sprintf("%012d-%012d.jsonl.zst", s.First, s.End) }

var segmentName = regexp.MustCompile(`^(\d{12})-(\d{12})\.jsonl\.zst$`)

// ParseSegmentName reads the name of a segment's file; ok is false for any other name.
func ParseSegmentName(name string) (first, end int64, ok bool) {
	parts := segmentName.FindStringSubmatch(name)
	if parts == nil {
		return 0, 0, false
	}
	first, _ = strconv.ParseInt(parts[1], 10, 64) // twelve digits always are
	end, _ = strconv.ParseInt(parts[2], 10, 64)
	return first, end, first < end
}

// missing is the error of a segment whose leaves cannot be had.
func (s Segment) missing(cause error) error {
	return bus.E(bus.CodeEvidence, bus.Defect{
		Field: "segment", Problem: bus.Text{ZH: "存证归档段 " + s.Name() + " 缺失或损坏", EN: "segment " + s.Name() + " of the evidence is missing or damaged"},
		Allowed: "bring the file back from a backup, under this name",
	}).Because(cause)
}

// prunedKey is where the log keeps which leaf is the first that was not pruned.
var prunedKey = []byte("pruned")

// kept is the first leaf that was not pruned.
func (t tables) kept() int64 {
	n, _ := leafIndex(t.top.Get(prunedKey))
	return n
}

// Kept returns the first leaf that was not pruned.
func (l *Log) Kept(tx *bbolt.Tx) (int64, error) {
	t, err := l.open(tx)
	if err != nil {
		return 0, err
	}
	return t.kept(), nil
}

// archived is the leaf that the last segment ends before.
func (t tables) archived() int64 {
	if t.sealed == nil {
		return t.kept()
	}
	_, value := t.sealed.Cursor().Last()
	if s, err := decodeSegment(value); err == nil {
		return s.End
	}
	return t.kept()
}

func decodeSegment(value []byte) (s Segment, err error) {
	if value == nil {
		return s, errors.New("evidence: no segment")
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return s, fmt.Errorf("evidence: what is kept of a segment is damaged: %w", err)
	}
	return s, nil
}

// segments gives those that are kept, in order.
func (t tables) segments() iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		if t.sealed == nil {
			return
		}
		cursor := t.sealed.Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			s, err := decodeSegment(value)
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Segments lists the segments of the log, in order.
func (l *Log) Segments(tx *bbolt.Tx) (all []Segment, err error) {
	t, err := l.open(tx)
	if err != nil {
		return nil, err
	}
	for s, err := range t.segments() {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// segmentOf is the segment that leaf n is in.
func (t tables) segmentOf(n int64) (Segment, bool) {
	if t.sealed == nil {
		return Segment{}, false
	}
	cursor := t.sealed.Cursor()
	key, value := cursor.Seek(leafKey(n))
	if at, ok := leafIndex(key); !ok || at > n {
		_, value = cursor.Prev()
	}
	s, err := decodeSegment(value)
	return s, err == nil && n >= s.First && n < s.End
}

// leaf gives the bytes of leaf n, out of its segment where it is archived. What comes
// from there is compared with its hash, which stays in the live file.
func (t tables) leaf(n int64) ([]byte, error) {
	if data := t.leaves.Get(leafKey(n)); data != nil {
		return data, nil
	}
	s, ok := t.segmentOf(n)
	if !ok {
		return nil, bus.NotFound("leaf", fmt.Sprint(n))
	}
	data, err := t.archive.leaf(s, n)
	if err == nil && !t.hashed(n, data) {
		err = s.missing(fmt.Errorf("leaf %d does not match its hash", n))
	}
	return data, err
}

// archivedIn gives the archived leaves from leaf first up to, not including, leaf end,
// or all where that is -1; out of the live file as long as they are there too. Before
// those of a segment that is not as it was sealed stands an entry that says so.
func (t tables) archivedIn(first, end int64) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for s, err := range t.segments() {
			if err != nil || s.End <= first || end >= 0 && s.First >= end {
				continue // leaves of a segment that nothing is known of are missed where they are due
			}
			if t.archive.Check(s) != nil && !yield(entry{segment: &s}) {
				return
			}
			for n := max(first, s.First); n < s.End && (end < 0 || n < end); n++ {
				e := entry{leaf: n, data: t.leaves.Get(leafKey(n)), hashes: t.hashes.Get(leafKey(n))}
				if e.data == nil {
					if e.data, err = t.archive.leaf(s, n); err != nil {
						e.lost = s.Name()
					}
				}
				if !yield(e) {
					return
				}
			}
		}
	}
}

// Ripe gives the leaves that the next segment is to have: whole blocks that were
// recorded before a time and that a signed checkpoint covers, and enough of them. End
// is first where there are none.
func (l *Log) Ripe(tx *bbolt.Tx, before time.Time) (first, end int64, err error) {
	t, err := l.open(tx)
	if err != nil {
		return 0, 0, err
	}
	size, err := t.size()
	if err != nil {
		return 0, 0, err
	}
	first = t.archived()
	old, err := t.since(size, before)
	if err != nil {
		return 0, 0, err
	}
	signed, err := t.lastSigned()
	if err != nil {
		return 0, 0, err
	}
	end = min(old, size-1, signed.size, first+SegmentLeaves) / blockLeaves * blockLeaves
	if end <= first {
		return first, first, nil
	}
	oldest, err := t.record(first)
	if err == nil && end-first < SegmentLeaves && oldest.At.After(before.Add(-waits)) {
		end = first
	}
	return first, end, err
}

// Seal writes a segment with the leaves from first up to, not including, end, of which
// [Log.Ripe] told, and verifies what is then on the disk. The live file keeps them.
// Key is the verifier key of the log.
func (l *Log) Seal(tx *bbolt.Tx, key string, first, end int64) (Segment, error) {
	t, err := l.open(tx)
	if err != nil {
		return Segment{}, err
	}
	s := Segment{First: first, End: end}
	header, after, err := l.windowOf(t, key, first, end)
	if err != nil {
		return s, err
	}
	for n, at := range map[int64]*time.Time{first: &s.From, end - 1: &s.To} {
		r, err := t.record(n)
		if err != nil {
			return s, err
		}
		*at = r.At
	}
	s, err = l.archive.write(s, header, chain(t.entriesIn(first, end), after))
	if err != nil {
		return s, fmt.Errorf("seal evidence: %w", err)
	}
	report, err := l.archive.verify(s, key)
	if err == nil && (!report.Verified || report.Leaves != end || report.Signed != end) {
		err = fmt.Errorf("segment %s does not verify: %s", s.Name(), report.Problem.EN)
	}
	return s, err
}

// Archive makes a sealed segment part of the log, on record. The file gets its name,
// and the live file may be thinned, once tx is committed: see [Log.Settle].
func (l *Log) Archive(tx *bbolt.Tx, s Segment, at time.Time) error {
	t, err := l.open(tx)
	if err != nil {
		return err
	}
	if s.First != t.archived() {
		return fmt.Errorf("evidence: segment %s where leaf %d is due", s.Name(), t.archived())
	}
	sealed, err := t.top.CreateBucketIfNotExists(segmentsBucket)
	if err != nil {
		return err
	}
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = l.Append(tx, Record{
		Kind: KindArchived, At: at, Principal: bus.Principal{Node: l.node}, Segment: &s,
		Detail: fmt.Sprintf("leaves %d to %d are in segment %s", s.First, s.End-1, s.Name()),
	})
	return errors.Join(err, sealed.Put(leafKey(s.First), value))
}

// Settle brings the files of the archive in line with the log, after a commit or a
// crash: a segment that is part of the log gets its name, one that is not is removed,
// as are those that were pruned.
func (l *Log) Settle(tx *bbolt.Tx) error {
	t, err := l.open(tx)
	if err != nil {
		return err
	}
	segments, err := l.Segments(tx)
	if err != nil || l.archive == nil {
		return err
	}
	return l.archive.settle(segments, t.kept())
}

// Thin deletes leaves from the live file that are in a segment of the archive, most at
// a time, and reports whether there are more. A segment whose file is not as it was
// sealed keeps its leaves.
func (l *Log) Thin(tx *bbolt.Tx, most int) (more bool, err error) {
	t, err := l.open(tx)
	if err != nil {
		return false, err
	}
	key, _ := t.leaves.Cursor().First()
	first, ok := leafIndex(key)
	s, archived := t.segmentOf(first)
	if !ok || !archived {
		return false, nil
	}
	if err := l.archive.named(s); err != nil {
		return false, err
	}
	last := min(first+int64(most), s.End)
	for n := first; n < last; n++ {
		if err := t.leaves.Delete(leafKey(n)); err != nil {
			return false, err
		}
	}
	return last < t.archived(), nil
}

// Prune takes the segments whose last leaf was recorded before a time out of the log,
// each on record; their files go with [Log.Settle]. What is left proves all it proved.
func (l *Log) Prune(tx *bbolt.Tx, by bus.Principal, request string, before, at time.Time) (gone []Segment, err error) {
	t, err := l.open(tx)
	if err != nil {
		return nil, err
	}
	for s, err := range t.segments() {
		if err != nil {
			return nil, err
		}
		if !s.To.Before(before) {
			break
		}
		gone = append(gone, s)
	}
	for _, s := range gone {
		for n := s.First; n < s.End; n++ { // where thinning has not come to it
			err = errors.Join(err, t.leaves.Delete(leafKey(n)))
		}
		_, failed := l.Append(tx, Record{
			Kind: KindPruned, At: at, Principal: by, Request: request, Segment: &s,
			Detail: fmt.Sprintf("segment %s, recorded before %s, is deleted", s.Name(), before.UTC().Format(time.RFC3339)),
		})
		err = errors.Join(err, failed, t.sealed.Delete(leafKey(s.First)), t.top.Put(prunedKey, leafKey(s.End)))
	}
	return gone, err
}
