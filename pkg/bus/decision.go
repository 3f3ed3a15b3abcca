package bus

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// LayerID names a policy layer: "base", "division/440100" or
// "department/114400000069401674".
type LayerID string

// BaseLayer is the layer that ships with the release, the only one that grants.
const BaseLayer LayerID = "base"

// DivisionLayer names a division's layer.
func DivisionLayer(code DivisionCode) LayerID { return LayerID("division/" + string(code)) }

// DepartmentLayer names a department's layer.
func DepartmentLayer(id USCC) LayerID { return LayerID("department/" + string(id)) }

// Split returns the kind ("base", "division", "department") and what it is of.
func (l LayerID) Split() (kind, of string) {
	kind, of, _ = strings.Cut(string(l), "/")
	return kind, of
}

// Layer is one layer's policy as the directory keeps it.
type Layer struct {
	ID       LayerID           `json:"id"`
	Modules  map[string]string `json:"modules"` // file name → Rego v1 source, tests included
	Revision Revision          `json:"revision"`
}

// Reason is why a layer denies.
type Reason struct {
	Layer   LayerID `json:"layer"`
	Code    string  `json:"code"`
	Message Text    `json:"message"`
}

// MaskMethod says what a mask leaves of a value.
type MaskMethod string

// The mask methods.
const (
	MaskDrop    MaskMethod = "drop"    // the item is left out
	MaskNull    MaskMethod = "null"    // the value becomes null
	MaskSurname MaskMethod = "surname" // the surname, the rest starred
	MaskCounty  MaskMethod = "county"  // an address cut after its county
	MaskKeep    MaskMethod = "keep"    // head and tail characters, the rest starred
)

// rank orders the methods by what they leave: nothing, a null, a part of the
// value. An unknown method comes before all, so that it shows rather than being
// covered by one that can be applied.
func (m MaskMethod) rank() int {
	switch m {
	case MaskDrop:
		return 1
	case MaskNull:
		return 2
	case MaskSurname, MaskCounty, MaskKeep:
		return 3
	default:
		return 0
	}
}

// Mask says how the value of one item is masked.
type Mask struct {
	Method MaskMethod `json:"method"`
	Head   int        `json:"head,omitempty"` // characters kept in front, MaskKeep
	Tail   int        `json:"tail,omitempty"` // characters kept at the end, MaskKeep
}

// Valid reports whether m is a mask that the bus can apply.
func (m Mask) Valid() bool {
	return m.Method.rank() > 0 && m.Head >= 0 && m.Tail >= 0
}

// Stricter returns a mask that hides whatever m or other hides: of two MaskKeep
// the shorter head and the shorter tail, of two different methods that leave
// different parts of a value MaskNull, else the one that leaves less.
func (m Mask) Stricter(other Mask) Mask {
	mine, theirs := m.Method.rank(), other.Method.rank()
	switch {
	case m.Method == MaskKeep && other.Method == MaskKeep:
		return Mask{MaskKeep, min(m.Head, other.Head), min(m.Tail, other.Tail)}
	case m.Method == other.Method || mine < theirs:
		return Mask{Method: m.Method}
	case theirs < mine:
		return Mask{Method: other.Method}
	case mine == MaskKeep.rank():
		return Mask{Method: MaskNull}
	default: // both unknown
		return Mask{Method: min(m.Method, other.Method)}
	}
}

// Obligations are what must be done to data before it goes on. The zero value
// hands out no item.
type Obligations struct {
	Items []ItemID        `json:"items"`           // what may pass, in order
	Masks map[ItemID]Mask `json:"masks,omitempty"` // how each is masked
}

// Verdict is what one layer says of a request.
type Verdict struct {
	Layer    LayerID         `json:"layer"`
	Revision Revision        `json:"revision"`
	Allow    bool            `json:"allow,omitempty"` // only the base layer's counts
	Reasons  []Reason        `json:"reasons,omitempty"`
	Items    []ItemID        `json:"items,omitzero"` // nil: no restriction
	Masks    map[ItemID]Mask `json:"masks,omitempty"`
	Fired    []Rule          `json:"fired,omitempty"` // the rules that are known to have said it
}

// Decision is the answer of the policy decision point to one request.
type Decision struct {
	ID          string               `json:"id"`
	Action      string               `json:"action"`
	At          time.Time            `json:"at"`
	Allow       bool                 `json:"allow"`
	Reasons     []Reason             `json:"reasons,omitempty"`
	Obligations Obligations          `json:"obligations"`
	Layers      map[LayerID]Revision `json:"layers"`
	Index       Revision             `json:"index"` // directory index it was made at
	Grounds     *Grounds             `json:"-"`     // what it was made of; evidence keeps it in its own form
}

// Combine unites the verdicts of the layers over the requested items, in any
// order: allowed only if the base layer grants and no layer denies; an item passes only if
// every layer lets it; of two masks the stricter holds. Reasons come sorted by
// layer and code, so that equal verdicts give equal decisions.
func Combine(requested []ItemID, verdicts []Verdict) (allow bool, reasons []Reason, ob Obligations) {
	items := slices.Clone(requested)
	masks := map[ItemID]Mask{}
	asked, refused := false, false // the base layer
	for _, v := range verdicts {
		if v.Layer == BaseLayer {
			asked, refused = true, refused || !v.Allow
		}
		reasons = append(reasons, v.Reasons...)
		if v.Items != nil {
			items = slices.DeleteFunc(items, func(id ItemID) bool { return !slices.Contains(v.Items, id) })
		}
		for id, m := range v.Masks {
			if have, ok := masks[id]; ok {
				m = have.Stricter(m)
			}
			masks[id] = m
		}
	}
	slices.SortFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message.EN, b.Message.EN), cmp.Compare(a.Message.ZH, b.Message.ZH))
	})
	if len(reasons) > 0 || refused || !asked {
		return false, reasons, Obligations{}
	}
	for id := range masks {
		if !slices.Contains(items, id) {
			delete(masks, id)
		}
	}
	if len(masks) == 0 {
		masks = nil
	}
	return true, nil, Obligations{Items: items, Masks: masks}
}
