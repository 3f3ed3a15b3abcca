package bus

import "time"

// LayerPush is what a security administrator asks to put in force: a text, the text
// of an older revision anew, or that there be no layer any more. One of the three.
type LayerPush struct {
	Modules  map[string]string `json:"modules,omitempty"`  // file name → Rego v1 source, tests included
	Rollback Revision          `json:"rollback,omitempty"` // the older revision that is taken up again
	Remove   bool              `json:"remove,omitempty"`   // the layer is to be no more
	Note     string            `json:"note"`               // why, for those who come after
}

// Form lists what is wrong with a push whatever the directory holds.
func (p LayerPush) Form() []Defect {
	var defects []Defect
	asked := 0
	for _, is := range []bool{len(p.Modules) > 0, p.Rollback != 0, p.Remove} {
		if is {
			asked++
		}
	}
	if asked != 1 {
		defects = append(defects, Defect{Field: "modules", Problem: Text{
			ZH: "须且只须写明一项：新的文本、恢复的修订或撤销该层", EN: "say one thing: a text, a revision to roll back to, or removal",
		}, Allowed: "modules, rollback, remove"})
	}
	return append(defects, checkNote("note", p.Note)...)
}

// maxLayerNote is the longest note, in bytes.
const maxLayerNote = 2_000

func checkNote(field, note string) []Defect {
	switch {
	case note == "":
		return []Defect{{Field: field, Problem: Text{ZH: "须说明理由", EN: "say why"}}}
	case len(note) > maxLayerNote:
		return []Defect{{Field: field, Problem: Text{ZH: "过长", EN: "too long"}, Allowed: "2000 bytes"}}
	}
	return nil
}

// LayerDraft is a revision of a policy layer on its way into force. While it is on
// its way the revision in force, if there is one, stays in force; there is one draft
// a layer at most.
type LayerDraft struct {
	ID       LayerID           `json:"id"`
	Modules  map[string]string `json:"modules,omitempty"`  // none where the layer is to be removed
	Rollback Revision          `json:"rollback,omitempty"` // the older revision whose text this is
	Remove   bool              `json:"remove,omitempty"`
	Report   *LayerReport      `json:"report,omitempty"` // of the node that took it; none of a removal
	Pushed   LayerAct          `json:"pushed"`
	Revision Revision          `json:"revision"` // of the draft
}

// LayerAct says who did something to a layer, where, when and why.
type LayerAct struct {
	By   Principal `json:"by"`
	At   time.Time `json:"at"`
	Node NodeID    `json:"node"` // where it was asked for
	Note string    `json:"note,omitempty"`
}

// LayerRevision is a revision of a policy layer that is or was in force, with how it
// came to be. Every one is kept.
type LayerRevision struct {
	Revision  Revision   `json:"revision"` // directory index of its activation
	Draft     LayerDraft `json:"draft"`    // as it was activated
	Activated LayerAct   `json:"activated"`
}

// Layer is what the revision puts in force; ok is false of a removal.
func (r LayerRevision) Layer() (l Layer, ok bool) {
	return Layer{ID: r.Draft.ID, Modules: r.Draft.Modules, Revision: r.Revision}, !r.Draft.Remove
}
