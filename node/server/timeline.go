package server

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// place is how far a timeline has come, as its pages hand it on.
type place struct {
	After  map[bus.NodeID]int64 `json:"after,omitempty"` // leaf of a node that is told or passed over
	Silent []bus.NodeID         `json:"silent,omitempty"`
}

func readPlace(page string) (p place, err error) {
	if page != "" {
		var text []byte
		if text, err = base64.RawURLEncoding.DecodeString(page); err == nil {
			err = json.Unmarshal(text, &p)
		}
	}
	if err != nil {
		return p, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "page", Problem: bus.Text{ZH: "翻页标记不正确", EN: "not a page of this list"}, Allowed: "next of the page before",
		}).Because(err)
	}
	if p.After == nil {
		p.After = map[bus.NodeID]int64{}
	}
	return p, nil
}

func (p place) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // never, of these
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// after is the leaf of a node to go on after; -1: from the beginning.
func (p place) after(id bus.NodeID) int64 {
	if after, ok := p.After[id]; ok {
		return after
	}
	return -1
}

// told is what one leaf of a node tells.
type told[T any] struct {
	item T
	leaf int64
	at   time.Time
}

// timeline merges what nodes tell, each in the order of its log, by time. It stops
// where a node that has more to tell runs out, so that nothing is told before its turn.
type timeline[T any] struct {
	place   place
	limit   int
	sources []*source[T]
	more    bool
}

type source[T any] struct {
	id      bus.NodeID
	told    []told[T]
	through int64 // leaf up to which the node has looked
	more    bool
}

func (t *timeline[T]) add(from source[T]) { t.sources = append(t.sources, &from) }

// merge gives the page, and leaves in place where the next one begins.
func (t *timeline[T]) merge() []T {
	page := []T{}
	for len(page) < t.limit {
		first := t.earliest()
		if first == nil {
			break
		}
		page = append(page, first.told[0].item)
		t.place.After[first.id] = first.told[0].leaf
		first.told = first.told[1:]
	}
	for _, from := range t.sources {
		if len(from.told) == 0 {
			t.place.After[from.id] = from.through
		}
		t.more = t.more || from.more || len(from.told) > 0
	}
	return page
}

// earliest is the source whose next step comes first; nil where none may be told.
func (t *timeline[T]) earliest() (first *source[T]) {
	for _, from := range t.sources {
		if len(from.told) == 0 {
			if from.more {
				return nil
			}
			continue
		}
		if first == nil || from.told[0].at.Before(first.told[0].at) {
			first = from
		}
	}
	return first
}
