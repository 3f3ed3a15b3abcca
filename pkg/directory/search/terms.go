package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/gxbus/gxbus/pkg/bus"
)

// schema is the form of the index on disk: what is folded, how it is cut into terms
// and which fields there are. An index of another form is made anew.
const schema = "1"

const (
	keySchema  = "gxbus-schema"
	keyCluster = "gxbus-cluster"
	keyThrough = "gxbus-through" // directory index that the documents are of
)

// fieldNames are the fields on disk; codes are looked through in memory.
var fieldNames = [fields]string{inAbout: "about", inItems: "items", inName: "name"}

// analyzer cuts a folded text into the terms of the index: each Chinese character
// and each pair of neighbours, and words of letters and digits.
var analyzer = &analysis.DefaultAnalyzer{
	Tokenizer:    unicode.NewUnicodeTokenizer(),
	TokenFilters: []analysis.TokenFilter{cjk.NewCJKBigramFilter(true)},
}

// term is a term to look up. It stands for all that begin with it where it is the
// end of a word of letters and digits.
type term struct {
	text      []byte
	prefix    bool
	spellings [][]byte // in a field, once they are known
}

// termsOf cuts a folded word into the terms that a text with the word must have.
func termsOf(word string) []term {
	tokens := analyzer.Analyze([]byte(word))
	paired := make([]bool, len(word)+1) // bytes that a pair covers
	for _, t := range tokens {
		if t.Type == analysis.Double {
			for at := t.Start; at < t.End; at++ {
				paired[at] = true
			}
		}
	}
	var terms []term
	for _, t := range tokens {
		single := t.Type == analysis.Single || t.Type == analysis.Ideographic
		if single && paired[t.Start] {
			continue
		}
		prefix := !single && t.Type != analysis.Double && t.End == len(word)
		terms = append(terms, term{text: t.Term, prefix: prefix})
	}
	return terms
}

// store is the part of the index that is on disk.
type store struct {
	dir    string
	queue  *index.AnalysisQueue
	scorch index.Index
}

// analysts is how many goroutines cut texts into terms.
const analysts = 2

// openStore opens the index in dir, or makes an empty one where there is none, or
// none that can be used: why tells then.
func openStore(dir, cluster string) (s *store, through bus.Revision, why string, err error) {
	if _, missing := os.Stat(dir); missing == nil {
		s, through, err = reopen(dir, cluster)
		if err == nil {
			return s, through, "", nil
		}
		why = err.Error()
	} else {
		why = "there is no index yet"
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, 0, why, err
	}
	if s, err = openScorch(dir); err != nil {
		return nil, 0, why, err
	}
	first := index.NewBatch()
	first.SetInternal([]byte(keySchema), []byte(schema))
	first.SetInternal([]byte(keyCluster), []byte(cluster))
	first.SetInternal([]byte(keyThrough), []byte("0"))
	if err := s.scorch.Batch(first); err != nil {
		return nil, 0, why, errors.Join(err, s.close())
	}
	return s, 0, why, nil
}

// reopen opens an index that was left behind. It refuses a damaged one, before any
// of it is mapped into memory.
func reopen(dir, cluster string) (s *store, through bus.Revision, err error) {
	defer func() {
		if r := recover(); r != nil { // damage that no checksum covers
			err = fmt.Errorf("the index cannot be read: %v", r)
		}
	}()
	if err := checkSegments(dir); err != nil {
		return nil, 0, err
	}
	if s, err = openScorch(dir); err != nil {
		return nil, 0, err
	}
	r, err := s.scorch.Reader()
	if err != nil {
		return nil, 0, errors.Join(err, s.close())
	}
	said := map[string]string{}
	for _, key := range []string{keySchema, keyCluster, keyThrough} {
		value, err := r.GetInternal([]byte(key))
		if err != nil {
			return nil, 0, errors.Join(err, r.Close(), s.close())
		}
		said[key] = string(value)
	}
	n, parseErr := strconv.ParseUint(said[keyThrough], 10, 64)
	if said[keySchema] != schema || said[keyCluster] != cluster || parseErr != nil {
		err = errors.New("the index is of another release or cluster")
		return nil, 0, errors.Join(err, r.Close(), s.close())
	}
	return s, bus.Revision(n), r.Close()
}

// Check looks for damage in the files of an index that is not open: fs.ErrNotExist
// where there is none.
func Check(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	return checkSegments(dir)
}

// checkSegments compares each segment file with the CRC-32 at its end.
func checkSegments(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.zap"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		end := len(data) - 4
		if end < 0 || crc32.ChecksumIEEE(data[:end]) != binary.BigEndian.Uint32(data[end:]) {
			return fmt.Errorf("the index is damaged: %s", filepath.Base(file))
		}
	}
	return nil
}

func openScorch(dir string) (*store, error) {
	s := &store{dir: dir, queue: index.NewAnalysisQueue(analysts)}
	// A batch is on disk a little after it can be searched: what a crash takes
	// away is followed again from the directory.
	config := map[string]any{"path": dir, "unsafe_batch": true, "bolt_timeout": "1s"}
	var err error
	if s.scorch, err = scorch.NewScorch(scorch.Name, config, s.queue); err == nil {
		err = s.scorch.Open()
	}
	if err != nil {
		s.queue.Close()
		return nil, fmt.Errorf("open search index: %w", err)
	}
	return s, nil
}

func (s *store) close() error {
	err := s.scorch.Close()
	s.queue.Close()
	return err
}

// write puts and removes documents and notes how far the directory was followed,
// all at once.
func (s *store) write(entries []entry, removed []string, through bus.Revision) error {
	batch := index.NewBatch()
	for _, key := range removed {
		batch.Delete(key)
	}
	const options = index.IndexField | index.SkipFreqNorm
	for _, r := range entries {
		doc := document.NewDocument(r.key)
		for f, name := range fieldNames {
			if name != "" && r.text[f] != "" {
				doc.AddField(document.NewTextFieldCustom(name, nil, []byte(r.text[f]), options, analyzer))
			}
		}
		batch.Update(doc)
	}
	batch.SetInternal([]byte(keyThrough), []byte(strconv.FormatUint(uint64(through), 10)))
	return s.scorch.Batch(batch)
}

// flush notes how far the directory was followed and returns once that is on disk.
func (s *store) flush(ctx context.Context, through bus.Revision) error {
	done := make(chan error, 1)
	batch := index.NewBatch()
	batch.SetInternal([]byte(keyThrough), []byte(strconv.FormatUint(uint64(through), 10)))
	batch.SetPersistedCallback(func(err error) { done <- err })
	if err := s.scorch.Batch(batch); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// snapshot is the documents on disk at one moment.
type snapshot struct {
	reader   *scorch.IndexSnapshot
	segments []piece
}

// piece is the documents of one segment.
type piece struct {
	*scorch.SegmentSnapshot
	slots []uint32 // document → place of its row; noSlot where it has none
}

const noSlot = ^uint32(0)

// segments remembers which documents a segment holds; a segment never changes.
type segments map[uint64][]uint32

// snapshot pins the present documents. slotOf finds the rows by their keys.
func (s *store) snapshot(known segments, slotOf map[string]uint32) (snapshot, segments, error) {
	r, err := s.scorch.Reader()
	if err != nil {
		return snapshot{}, nil, err
	}
	snap, ok := r.(*scorch.IndexSnapshot)
	if !ok {
		return snapshot{}, nil, errors.Join(errors.New("the index is closed"), r.Close())
	}
	made, now := snapshot{reader: snap}, segments{}
	for _, part := range snap.Segments() {
		slots, ok := known[part.Id()]
		if !ok {
			slots = make([]uint32, part.Segment().Count())
			for n := range slots {
				key, err := part.DocID(uint64(n))
				if err != nil {
					return snapshot{}, nil, errors.Join(err, r.Close())
				}
				slots[n] = noSlot
				if slot, ok := slotOf[string(key)]; ok {
					slots[n] = slot
				}
			}
		}
		now[part.Id()] = slots
		made.segments = append(made.segments, piece{part, slots})
	}
	return made, now, nil
}

// maxSpellings is how many terms may begin with the end of a word before the texts
// are looked through instead.
const maxSpellings = 128

// lookup calls visit with the place of each row whose field has all terms of a
// word, and whether it then has the word for sure. any tells that the terms are no
// help: any row may have it.
func (s snapshot) lookup(field int, word string, visit func(slot uint32, sure bool)) (any bool, err error) {
	terms := termsOf(word)
	sure := len(terms) == 1
	known := terms[:0]
	for _, t := range terms {
		if t.spellings, err = s.spellings(field, t); err != nil {
			return false, err
		}
		if t.spellings != nil {
			known = append(known, t)
		}
	}
	if len(known) == 0 {
		return true, nil
	}
	buffer := make([]uint32, 512)
	for _, p := range s.segments {
		documents, err := p.documents(fieldNames[field], known)
		if err != nil {
			return false, err
		}
		if documents == nil {
			continue
		}
		for next := documents.ManyIterator(); ; {
			n := next.NextMany(buffer)
			for _, doc := range buffer[:n] {
				if slot := p.slots[doc]; slot != noSlot {
					visit(slot, sure)
				}
			}
			if n < len(buffer) {
				break
			}
		}
	}
	return false, nil
}

// spellings lists what a term stands for in a field: itself, or the terms that
// begin with it; nil where those are too many.
func (s snapshot) spellings(field int, t term) (found [][]byte, err error) {
	if !t.prefix {
		return [][]byte{t.text}, nil
	}
	dictionary, err := s.reader.FieldDictPrefix(fieldNames[field], t.text)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dictionary.Close()) }()
	found = [][]byte{}
	for {
		entry, err := dictionary.Next()
		if err != nil || entry == nil {
			return found, err
		}
		if found = append(found, []byte(entry.Term)); len(found) > maxSpellings {
			return nil, nil
		}
	}
}

// documents are those of the segment that have a spelling of each term; nil for
// none. It is for reading only.
func (p piece) documents(field string, terms []term) (have *roaring.Bitmap, err error) {
	dictionary, err := p.Segment().Dictionary(field)
	if err != nil {
		return nil, err
	}
	for i, t := range terms {
		var any *roaring.Bitmap
		for _, text := range t.spellings {
			with, err := p.with(dictionary, text)
			if err != nil {
				return nil, err
			}
			switch {
			case with == nil:
			case any == nil:
				any = with
			default:
				any = roaring.Or(any, with)
			}
		}
		switch {
		case any == nil:
			return nil, nil
		case i == 0:
			have = any
		default:
			have = roaring.And(have, any)
		}
	}
	return have, nil
}

// with are the documents that have a term, nil for none.
func (p piece) with(dictionary segment.TermDictionary, text []byte) (*roaring.Bitmap, error) {
	postings, err := dictionary.PostingsList(text, p.Deleted(), nil)
	if err != nil {
		return nil, err
	}
	each := postings.Iterator(false, false, false, nil)
	if whole, ok := each.(segment.OptimizablePostingsIterator); ok {
		if have := whole.ActualBitmap(); have != nil {
			return have, nil
		}
	}
	var have *roaring.Bitmap
	for {
		next, err := each.Next()
		if err != nil || next == nil {
			return have, err
		}
		if have == nil {
			have = roaring.New()
		}
		have.Add(uint32(next.Number()))
	}
}

// coded reports whether a word may be part of an id or a code.
func coded(word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	return !ideographic(first)
}
