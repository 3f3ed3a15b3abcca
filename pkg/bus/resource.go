package bus

import (
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

// Valid reports whether c follows the coding rule.
func (c ResourceCode) Valid() bool { return resourceCode.MatchString(string(c)) }

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
	Range    string      `json:"range,omitempty"`    // 共享范围, conditional
	Purposes []Purpose   `json:"purposes,omitempty"` // 使用用途, conditional
	Reason   string      `json:"reason,omitempty"`   // none
	Basis    *Basis      `json:"basis,omitempty"`    // none
}

// Basis is the express legal ground for not sharing (decree 809 art. 14).
type Basis struct {
	Kind     string `json:"kind"`     // law, administrative-regulation, state-council-decision
	Citation string `json:"citation"` // title and article
}

// Resource is a data resource (数据资源) in the directory.
type Resource struct {
	ID          ResourceID     `json:"id"`
	Codes       []ResourceCode `json:"codes"`
	Name        string         `json:"name"`
	Abstract    string         `json:"abstract,omitempty"`
	Provider    USCC           `json:"provider"`
	Office      string         `json:"office,omitempty"`  // 提供方内设机构
	Contact     string         `json:"contact,omitempty"` // of the office
	Format      string         `json:"format"`
	Subtype     string         `json:"subtype,omitempty"` // of the format, as "MySQL" or "XLSX"
	Items       []Item         `json:"items"`
	Entity      EntityID       `json:"entity,omitempty"` // what its rows are about, for 一数一源
	Sharing     Sharing        `json:"sharing"`
	Modes       []string       `json:"modes"`                    // interface, batch, file
	Open        string         `json:"open"`                     // yes, conditional, no
	OpenTerms   string         `json:"open_terms,omitempty"`     // 开放条件, where open is conditional
	Class       string         `json:"classification,omitempty"` // 数据分类, by the province's scheme
	Secrecy     string         `json:"secrecy,omitempty"`        // a mark; whatever has one is refused (decree 809 art. 3)
	UpdateCycle string         `json:"update_cycle"`
	Network     string         `json:"network,omitempty"`
	Scenario    string         `json:"scenario,omitempty"`
	System      string         `json:"source_system,omitempty"` // where the data is kept, as the provider calls it
	Matters     []string       `json:"matters,omitempty"`       // 事项基本目录编码, 实施清单编码
	Related     []ResourceCode `json:"related,omitempty"`       // 关联资源代码
	Version     int            `json:"version,omitempty"`       // 1, 2, …: the published version that this is
	Published   time.Time      `json:"published,omitzero"`      // when that version was
	Revision    Revision       `json:"revision"`
}

var (
	formats   = []string{"file", "spreadsheet", "database", "image", "stream", "self-describing", "service"}
	modes     = []string{"interface", "batch", "file"}
	opens     = []string{"yes", "conditional", "no"}
	cycles    = []string{"realtime", "daily", "weekly", "monthly", "quarterly", "half-yearly", "yearly", "irregular"}
	networks  = []string{"government", "internet", "departmental"}
	scenarios = []string{"government-service", "public-service", "supervision", "other"}
	sharings  = []SharingType{Unconditional, Conditional, NotShared}
	purposes  = []Purpose{PurposeAdministrativeBasis, PurposeReference, PurposeVerification, PurposeCollaboration}
	bases     = []string{"law", "administrative-regulation", "state-council-decision"}
)

// Check returns every defect of r that shows without looking anything up.
func (r Resource) Check() []Defect {
	defects := CheckID("id", r.ID)
	if len(r.Codes) == 0 {
		defects = append(defects, missing("codes"))
	}
	for i, c := range r.Codes {
		if !c.Valid() {
			defects = append(defects, Defect{fmt.Sprintf("codes[%d]", i), Text{"目录代码不符合编码规则", "not a directory code"}, resourceCode.String()})
		}
	}
	if strings.TrimSpace(r.Name) == "" {
		defects = append(defects, missing("name"))
	}
	defects = append(defects, checkUSCC("provider", r.Provider)...)
	defects = append(defects, oneOf("format", r.Format, formats)...)
	defects = append(defects, oneOf("open", r.Open, opens)...)
	defects = append(defects, oneOf("update_cycle", r.UpdateCycle, cycles)...)
	if r.Network != "" {
		defects = append(defects, oneOf("network", r.Network, networks)...)
	}
	if r.Scenario != "" {
		defects = append(defects, oneOf("scenario", r.Scenario, scenarios)...)
	}
	if len(r.Modes) == 0 {
		defects = append(defects, missing("modes"))
	}
	for i, m := range r.Modes {
		defects = append(defects, oneOf(fmt.Sprintf("modes[%d]", i), m, modes)...)
	}
	defects = append(defects, r.Sharing.check()...)
	return append(defects, checkItems(r.Items)...)
}

func (s Sharing) check() []Defect {
	defects := oneOf("sharing.type", s.Type, sharings)
	switch s.Type {
	case Conditional:
		if strings.TrimSpace(s.Range) == "" {
			defects = append(defects, missing("sharing.range"))
		}
		if len(s.Purposes) == 0 {
			defects = append(defects, missing("sharing.purposes"))
		}
	case NotShared:
		if strings.TrimSpace(s.Reason) == "" {
			defects = append(defects, missing("sharing.reason"))
		}
		if s.Basis == nil {
			defects = append(defects, missing("sharing.basis"))
			break
		}
		defects = append(defects, oneOf("sharing.basis.kind", s.Basis.Kind, bases)...)
		if strings.TrimSpace(s.Basis.Citation) == "" {
			defects = append(defects, missing("sharing.basis.citation"))
		}
	}
	for i, p := range s.Purposes {
		defects = append(defects, CheckPurpose(fmt.Sprintf("sharing.purposes[%d]", i), p)...)
	}
	return defects
}

// CheckPurpose returns the defect of a purpose, if it has one.
func CheckPurpose(field string, p Purpose) []Defect { return oneOf(field, p, purposes) }

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
