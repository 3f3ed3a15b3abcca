package exchange

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxRequest is how many bytes the id of a request has at most.
const maxRequest = 128

// Check returns what of a query cannot be in the evidence of it. That there is such a
// resource, grant or item is for the decision to find.
func (q Query) Check() []bus.Defect {
	defects := append(bus.CheckNumber("matter", q.Matter), bus.CheckNumber("case", q.Case)...)
	defects = append(append(defects, bus.CheckBasis("basis", q.Basis)...), bus.CheckOperator("operator", q.Operator)...)
	defects = append(defects, bus.CheckID("resource", q.Resource)...)
	if q.Grant != "" {
		defects = append(defects, bus.CheckID("grant", q.Grant)...)
	}
	if q.Purpose != "" {
		defects = append(defects, bus.CheckPurpose("purpose", q.Purpose)...)
	}
	return defects
}

// checkNames looks at what another node says of who asks: it goes into evidence before
// it is found out whether there is such a system.
func checkNames(system bus.SystemID, request string) (defects []bus.Defect) {
	if system != "" {
		defects = bus.CheckID("source", system)
	}
	if len(request) > maxRequest {
		defects = append(defects, bus.Defect{
			Field: attrRequest, Problem: bus.Text{ZH: "过长", EN: "too long"}, Allowed: fmt.Sprintf("at most %d bytes", maxRequest),
		})
	}
	return defects
}
