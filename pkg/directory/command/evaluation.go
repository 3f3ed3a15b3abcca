package command

import "github.com/gxbus/gxbus/pkg/bus"

// Bodies of the entries about the evaluation; that of SchemePropose is a
// bus.SchemeProposal.
type (
	// SchemeActivation is the body of SchemeActivate: the version that is expected comes
	// into force.
	SchemeActivation struct {
		Version int    `json:"version"`
		Note    string `json:"note,omitempty"`
	}
	// Publication is the body of ReportPublish.
	Publication struct {
		Report bus.ReportSeal `json:"report"`
		Note   string         `json:"note,omitempty"`
	}
)
