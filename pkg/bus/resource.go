package bus

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ResourceCode is a directory code (政务信息资源代码, 发改高技〔2017〕1272号):
// 类 1 digit, 项 2, 目 3, 细目 any, "/", then a sequence code.
type ResourceCode string

var resourceCode = regexp.MustCompile(`^[1-3]\d{2}\d{3}[0-9A-Za-z]*/[0-9A-Za-z]+$`)

const maxCode = 128 // characters; the rule sets no end

// Valid reports whether c follows the coding rule, in 128 characters at most.
func (c ResourceCode) Valid() bool { return len(c) <= maxCode && resourceCode.MatchString(string(c)) }

// SharingType is the sharing attribute (共享类型) fixed at the source.
type SharingType string

// The sharing types.
const (
	Unconditional SharingType = "unconditional" // 无条件共享
	Conditional   SharingType = "conditional"   // 有条件共享
	NotShared     SharingType = "none"          // 不予共享
)

// Purpose is what shared data is used for (国发〔2016〕51号 art. 13).
type Purpose string

// The purposes.
const (
	PurposeAdministrativeBasis Purpose = "administrative-basis" // 行政依据
	PurposeReference           Purpose = "reference"            // 工作参考
	PurposeVerification        Purpose = "verification"         // 数据校核
	PurposeCollaboration       Purpose = "collaboration"        // 业务协同
)

// Sharing is a resource's sharing attribute with what the law wants beside it.
type Sharing struct {
	Type     SharingType `json:"type"`
	Range    string      `json:"range,omitempty"`    // 共享范围, where it or an item is conditional
	Purposes []Purpose   `json:"purposes,omitempty"` // 使用用途, the same
	Reason   string      `json:"reason,omitempty"`   // where it or an item is none
	Basis    *Basis      `json:"basis,omitempty"`    // the same
}

// Basis is the express legal ground for not sharing (decree 809 art. 14).
type Basis struct {
	Kind     string `json:"kind"`     // law, administrative-regulation, state-council-decision
	Citation string `json:"citation"` // title and article
}

// Resource is a data resource (数据资源) in the directory.
type Resource struct {
	ID          ResourceID      `json:"id"`
	Codes       []ResourceCode  `json:"codes"`
	Name        string          `json:"name"`
	Abstract    string          `json:"abstract,omitempty"`
	Provider    USCC            `json:"provider"`
	Office      string          `json:"office,omitempty"`  // 提供方内设机构
	Contact     string          `json:"contact,omitempty"` // of the office
	Format      string          `json:"format"`
	Subtype     string          `json:"subtype,omitempty"` // of the format, as "MySQL" or "XLSX"
	Items       []Item          `json:"items"`
	Entity      EntityID        `json:"entity,omitempty"` // what its rows are about, for 一数一源
	Sharing     Sharing         `json:"sharing"`
	Modes       []string        `json:"modes"`                    // interface, batch, file
	Open        string          `json:"open"`                     // yes, conditional, no
	OpenTerms   string          `json:"open_terms,omitempty"`     // 开放条件, where open is conditional
	Class       string          `json:"classification,omitempty"` // 数据分类, by the province's scheme
	Secrecy     string          `json:"secrecy,omitempty"`        // a mark; whatever has one is refused (decree 809 art. 3)
	UpdateCycle string          `json:"update_cycle"`
	Network     string          `json:"network,omitempty"`
	Scenario    string          `json:"scenario,omitempty"`
	System      string          `json:"source_system,omitempty"` // where the data is kept, as the provider calls it
	Matters     []string        `json:"matters,omitempty"`       // 事项基本目录编码, 实施清单编码
	Related     []ResourceCode  `json:"related,omitempty"`       // 关联资源代码
	Schema      json.RawMessage `json:"schema,omitempty"`        // JSON Schema of its events' data, where it is not to be that of its items
	Version     int             `json:"version,omitempty"`       // 1, 2, …: the published version that this is
	Published   time.Time       `json:"published,omitzero"`      // when that version was
	Revision    Revision        `json:"revision"`
}

var (
	formats   = []string{"file", "spreadsheet", "database", "image", "stream", "self-describing", "service"}
	modes     = []string{"interface", "batch", "file"}
	served    = []string{"interface", "batch"} // of the modes; an entry may tell of files, which nodes do not hand out
	opens     = []string{"yes", "conditional", "no"}
	cycles    = []string{CycleRealtime, "daily", "weekly", "monthly", "quarterly", "half-yearly", "yearly", "irregular"}
	networks  = []string{"government", "internet", "departmental"}
	scenarios = []string{"government-service", "public-service", "supervision", "other"}
	sharings  = []SharingType{Unconditional, Conditional, NotShared}
	purposes  = []Purpose{PurposeAdministrativeBasis, PurposeReference, PurposeVerification, PurposeCollaboration}
	bases     = []string{"law", "administrative-regulation", "state-council-decision"}

	// noBasis are texts that people cite and that are no ground for not sharing
	// (decree 809 art. 14).
	noBasis = map[string]Text{
		"departmental-rule": {"部门规章不能作为不予共享的依据：须有法律、行政法规或者国务院决定的明确规定",
			"a departmental rule is no ground for not sharing: a law, an administrative regulation or a State Council decision must say so expressly"},
		"local-regulation": {"地方性法规不能作为不予共享的依据：须有法律、行政法规或者国务院决定的明确规定",
			"a local regulation is no ground for not sharing: a law, an administrative regulation or a State Council decision must say so expressly"},
	}
)

// Form refuses what may not even be a draft: whatever bears a secrecy mark, with
// CodeSecret (decree 809 art. 3), and what is there but not well-formed.
func (r Resource) Form() error {
	if r.Secrecy != "" {
		return E(CodeSecret, Defect{"secrecy", Text{
			"国家秘密、工作秘密不得编入政务数据目录", "what is marked as a state or work secret never enters the directory",
		}, "a resource without a mark"})
	}
	return Invalid(r.Check())
}

// Check returns every defect of what r has, and of what it cannot do without:
// its id, provider and the ids of its items. What else is missing is for Gate.
func (r Resource) Check() []Defect {
	defects := CheckID("id", r.ID)
	for i, c := range r.Codes {
		at := fmt.Sprintf("codes[%d]", i)
		if !c.Valid() {
			defects = append(defects, Defect{at, Text{"目录代码不符合编码规则", "not a directory code"}, resourceCode.String()})
		}
		if slices.Contains(r.Codes[:i], c) {
			defects = append(defects, Defect{at, Text{"目录代码重复", "this code is listed twice"}, "each code once"})
		}
	}
	defects = append(defects, checkUSCC("provider", r.Provider)...)
	defects = append(defects, known("format", r.Format, formats)...)
	defects = append(defects, checkItems(r.Items)...)
	if r.Entity != "" {
		defects = append(defects, CheckID("entity", r.Entity)...)
	}
	defects = append(defects, r.Sharing.check()...)
	for i, m := range r.Modes {
		defects = append(defects, oneOf(fmt.Sprintf("modes[%d]", i), m, modes)...)
	}
	defects = append(defects, known("open", r.Open, opens)...)
	defects = append(defects, known("update_cycle", r.UpdateCycle, cycles)...)
	defects = append(defects, known("network", r.Network, networks)...)
	defects = append(defects, known("scenario", r.Scenario, scenarios)...)
	for i, c := range r.Related {
		if !c.Valid() {
			defects = append(defects, Defect{fmt.Sprintf("related[%d]", i), Text{"目录代码不符合编码规则", "not a directory code"}, resourceCode.String()})
		}
	}
	return defects
}

func (s Sharing) check() []Defect {
	defects := known("sharing.type", s.Type, sharings)
	for i, p := range s.Purposes {
		defects = append(defects, CheckPurpose(fmt.Sprintf("sharing.purposes[%d]", i), p)...)
	}
	if s.Basis == nil {
		return defects
	}
	if why, ok := noBasis[s.Basis.Kind]; ok {
		return append(defects, Defect{"sharing.basis.kind", why, join(bases)})
	}
	return append(defects, known("sharing.basis.kind", s.Basis.Kind, bases)...)
}

// CheckPurpose returns the defect of a purpose, if it has one.
func CheckPurpose(field string, p Purpose) []Defect { return oneOf(field, p, purposes) }

// known returns the defect of a value that is neither empty nor allowed.
func known[T ~string](field string, value T, allowed []T) []Defect {
	if value == "" {
		return nil
	}
	return oneOf(field, value, allowed)
}

func oneOf[T ~string](field string, value T, allowed []T) []Defect {
	if slices.Contains(allowed, value) {
		return nil
	}
	if value == "" {
		d := missing(field)
		d.Allowed = join(allowed)
		return []Defect{d}
	}
	return []Defect{{field, Text{"取值不允许：" + string(value), "value not allowed: " + string(value)}, join(allowed)}}
}

func join[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// Purposes lists the purposes.
func Purposes() []Purpose { return slices.Clone(purposes) }
