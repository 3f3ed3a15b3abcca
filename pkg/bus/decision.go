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
	Hold    bool    `json:"hold,omitempty"` // not yet, rather than no: what waits is kept
}

// Verdict is what one layer says of a request.
type Verdict struct {
	Layer     LayerID         `json:"layer"`
	Revision  Revision        `json:"revision"`
	Allow     bool            `json:"allow,omitempty"`   // only the base layer's counts
	Reasons   []Reason        `json:"reasons,omitempty"` // why it denies, or holds
	Items     []ItemID        `json:"items,omitzero"`    // nil: no restriction
	Masks     map[ItemID]Mask `json:"masks,omitempty"`
	Rows      []RowCondition  `json:"rows,omitempty"`      // every one must hold
	Limits    []Limit         `json:"limits,omitempty"`    // every one holds
	Watermark bool            `json:"watermark,omitempty"` // what is handed out is marked
	Fired     []Rule          `json:"fired,omitempty"`     // the rules that are known to have said it
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
// order: allowed only if the base layer grants and no layer denies or holds; an
// item passes only if every layer lets it; of two masks the stricter holds; all
// row conditions and all limits hold; one layer that wants a watermark gets it.
// Reasons, conditions and limits come sorted, so that equal verdicts give equal
// decisions.
func Combine(requested []ItemID, verdicts []Verdict) (allow bool, reasons []Reason, ob Obligations) {
	ob.Items = slices.Clone(requested)
	asked, refused := false, false // the base layer
	for _, v := range verdicts {
		if v.Layer == BaseLayer {
			asked, refused = true, refused || !v.Allow
		}
		reasons = append(reasons, v.Reasons...)
		ob.narrow(v)
	}
	slices.SortFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message.EN, b.Message.EN), cmp.Compare(a.Message.ZH, b.Message.ZH), compareBool(a.Hold, b.Hold))
	})
	if refused || !asked { // no, whatever a layer would wait for
		reasons = slices.DeleteFunc(reasons, func(r Reason) bool { return r.Hold })
		return false, reasons, Obligations{}
	}
	if len(reasons) > 0 {
		return false, reasons, Obligations{}
	}
	ob.settle()
	return true, nil, ob
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
