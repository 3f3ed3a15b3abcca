package bus

import "time"

// Access explains what a department may do with a resource at one moment, as the
// policies decide it: nothing in it is a promise.
type Access struct {
	Resource   ResourceID `json:"resource"`
	Department USCC       `json:"department"`
	Missing    []Missing  `json:"missing,omitempty"` // why the department does not even find it; Uses is then empty
	Uses       []Use      `json:"uses"`              // a purpose and an action each
}

// Use is one thing that might be done with a resource.
type Use struct {
	Purpose Purpose         `json:"purpose"`
	Action  string          `json:"action"` // subscribe, query, download
	Allowed bool            `json:"allowed"`
	Grant   GrantID         `json:"grant,omitempty"` // under which it is, or comes closest to being
	Until   time.Time       `json:"until,omitzero"`  // when that grant ends
	Items   []ItemID        `json:"items,omitempty"` // what would be handed out
	Masks   map[ItemID]Mask `json:"masks,omitempty"` // how each is masked
	Missing []Missing       `json:"missing,omitempty"`
}

// Missing is a condition that is not met, and what can be done about it.
type Missing struct {
	Reason
	Next Text `json:"next"`
}
