package catalogue

import "github.com/gxbus/gxbus/pkg/bus"

// reasonHeading heads the column of an annotated file that says what is wrong.
var reasonHeading = bus.Text{ZH: "原因", EN: "Reason"}
