package search

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Dimension is something that entries are filtered and counted by.
type Dimension string

// The dimensions.
const (
	ByDivision Dimension = "division" // the provider's, and every one above it
	ByLevel    Dimension = "level"    // of the provider's division
	ByProvider Dimension = "provider"
	BySharing  Dimension = "sharing"
	ByFormat   Dimension = "format"
	ByCycle    Dimension = "update_cycle"
	ByLibrary  Dimension = "library"
	ByState    Dimension = "state"
)

// Dimensions lists the dimensions.
func Dimensions() []Dimension {
	return []Dimension{ByDivision, ByLevel, ByProvider, BySharing, ByFormat, ByCycle, ByLibrary, ByState}
}

// What words are looked for in. The number of a field is its weight's exponent:
// one in a better field outweighs all in the lesser.
const (
	inAbout = iota // provider, its office and the abstract
	inItems        // names and ids
	inName
	inCodes // id and directory codes
	fields
)

const (
	maxText = 64 << 10 // bytes of one field that are searched
	maxSort = 256      // bytes of a name that entries are sorted by
)

// row is what is kept in memory of an entry. It does not change.
type row struct {
	key       string // its name in the index on disk
	id        bus.ResourceID
	kind      kind
	draft     bool
	revision  bus.Revision
	code      string // the first one
	published int64  // Unix ms; 0 for a draft
}

// text is what words are looked for in, folded.
type text [fields]string

// entry is a row and its text, which is not kept beside it.
type entry struct {
	*row
	text text
}

// label stands for one value of one dimension.
type label uint32

type meaning struct {
	of    Dimension
	value string
}

// kind stands for what entries have in common that have the same labels: a search
// decides once for all of a kind, and counts them together. Rows without an entry
// are of none.
type kind uint32

const none kind = 0

type common struct {
	labels   []label // in their order
	provider label
	draft    bool
}

// labels numbers values, and kinds of entries. It only grows.
type labels struct {
	known  map[meaning]label
	all    []meaning
	sorted map[string]kind
	kinds  []common
}

func newLabels() *labels {
	return &labels{known: map[meaning]label{}, sorted: map[string]kind{}, kinds: make([]common, none+1)}
}

// kind numbers what entries with these labels have in common.
func (l *labels) kind(c common) kind {
	slices.Sort(c.labels)
	key := binary.BigEndian.AppendUint32(nil, uint32(c.provider))
	if c.draft {
		key = append(key, 1)
	}
	for _, label := range c.labels {
		key = binary.BigEndian.AppendUint32(key, uint32(label))
	}
	k, ok := l.sorted[string(key)]
	if !ok {
		k = kind(len(l.kinds))
		l.sorted[string(key)], l.kinds = k, append(l.kinds, c)
	}
	return k
}

func (l *labels) of(d Dimension, value string) label {
	m := meaning{d, value}
	if known, ok := l.known[m]; ok {
		return known
	}
	next := label(len(l.all))
	l.known[m], l.all = next, append(l.all, m)
	return next
}

// reader makes rows of what the directory holds at one index.
type reader struct {
	tx        *state.Tx
	labels    *labels
	libraries []bus.Library
	providers map[bus.USCC]*provider
}

type provider struct {
	name   string
	labels []label // of its divisions, its level and itself
	self   label
}

func newReader(tx *state.Tx, l *labels) *reader {
	return &reader{tx, l, slices.Collect(tx.Libraries()), map[bus.USCC]*provider{}}
}

func (r *reader) provider(id bus.USCC) *provider {
	if p, ok := r.providers[id]; ok {
		return p
	}
	department, _ := r.tx.Department(id)
	p := &provider{name: department.Name, self: r.labels.of(ByProvider, string(id))}
	p.labels = append(p.labels, p.self)
	for _, code := range r.tx.Chain(department.Division) {
		p.labels = append(p.labels, r.labels.of(ByDivision, string(code)))
	}
	if d, ok := r.tx.Division(department.Division); ok {
		p.labels = append(p.labels, r.labels.of(ByLevel, string(d.Level)))
	}
	r.providers[id] = p
	return p
}

const draftSuffix = "/draft" // no id has a slash

func publishedKey(id bus.ResourceID) string { return string(id) }
func draftKey(id bus.ResourceID) string     { return string(id) + draftSuffix }

func (r *reader) published(res bus.Resource) entry {
	made := r.entry(res, bus.StatePublished, false)
	made.key, made.revision = publishedKey(res.ID), res.Revision
	if !res.Published.IsZero() {
		made.published = res.Published.UnixMilli()
	}
	return made
}

func (r *reader) draft(d bus.Draft) entry {
	d.Resource.ID = d.ID
	made := r.entry(d.Resource, d.State, true)
	made.key, made.revision = draftKey(d.ID), d.Revision
	return made
}

func (r *reader) entry(res bus.Resource, in bus.EntryState, draft bool) entry {
	p := r.provider(res.Provider)
	made := entry{row: &row{id: res.ID, draft: draft}}
	var items, codes strings.Builder
	for _, it := range res.Items {
		items.WriteString(it.Name + "\n" + string(it.ID) + "\n" + it.English + "\n")
	}
	codes.WriteString(string(res.ID))
	for _, c := range res.Codes {
		codes.WriteString("\n" + string(c))
	}
	made.text = text{
		inName: searched(res.Name), inItems: searched(items.String()), inCodes: searched(codes.String()),
		inAbout: searched(p.name + "\n" + res.Office + "\n" + res.Abstract),
	}
	if len(res.Codes) > 0 {
		made.code = string(res.Codes[0])
	}
	labels := append(make([]label, 0, len(p.labels)+6), p.labels...)
	for d, value := range map[Dimension]string{
		BySharing: string(res.Sharing.Type), ByFormat: res.Format, ByCycle: res.UpdateCycle, ByState: string(in),
	} {
		if value != "" {
			labels = append(labels, r.labels.of(d, value))
		}
	}
	for _, l := range r.libraries {
		if l.Holds(res.Codes) {
			labels = append(labels, r.labels.of(ByLibrary, string(l.ID)))
		}
	}
	made.kind = r.labels.kind(common{labels, p.self, draft})
	return made
}

// searched is the folded beginning of a text.
func searched(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return fold(text)
}

// sorted is what of a name an entry is sorted by where it is by name.
func sorted(name string) string { return name[:min(len(name), maxSort)] }
