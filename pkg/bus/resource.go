package bus

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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

// Semantic says what an item means, where that decides how it is masked.
type Semantic string

// The semantics that have a masking default.
const (
	SemanticNone     Semantic = ""
	SemanticIDNumber Semantic = "id-number" // 居民身份证号
	SemanticName     Semantic = "name"
	SemanticPhone    Semantic = "phone"
	SemanticAddress  Semantic = "address"
	SemanticBankCard Semantic = "bank-card"
	SemanticUSCC     Semantic = "uscc"
)

// Item is an information item (信息项) of a resource.
type Item struct {
	ID       ItemID      `json:"id"`                 // its key in the data
	Name     string      `json:"name"`               // Chinese name
	Type     string      `json:"type"`               // C N Y D T L M G B I F
	Length   int         `json:"length,omitempty"`   // characters; 0 is unstated
	Grade    int         `json:"grade"`              // data grade 1 (lowest) – 4
	Sharing  SharingType `json:"sharing,omitempty"`  // where it differs from the resource's
	Open     bool        `json:"open,omitempty"`     // open to the public
	Semantic Semantic    `json:"semantic,omitempty"` // what it means
}

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
	Format      string         `json:"format"`
	Items       []Item         `json:"items"`
	Sharing     Sharing        `json:"sharing"`
	Modes       []string       `json:"modes"` // interface, batch, file
	Open        string         `json:"open"`  // yes, conditional, no
	UpdateCycle string         `json:"update_cycle"`
	Network     string         `json:"network,omitempty"`
	Scenario    string         `json:"scenario,omitempty"`
	Matters     []string       `json:"matters,omitempty"` // 事项基本目录编码
	Revision    Revision       `json:"revision"`
}

var (
	formats   = []string{"file", "spreadsheet", "database", "image", "stream", "self-describing", "service"}
	itemTypes = []string{"C", "N", "Y", "D", "T", "L", "M", "G", "B", "I", "F"}
	modes     = []string{"interface", "batch", "file"}
	opens     = []string{"yes", "conditional", "no"}
	cycles    = []string{"realtime", "daily", "weekly", "monthly", "quarterly", "half-yearly", "yearly", "irregular"}
	networks  = []string{"government", "internet", "departmental"}
	scenarios = []string{"government-service", "public-service", "supervision", "other"}
	sharings  = []SharingType{Unconditional, Conditional, NotShared}
	purposes  = []Purpose{PurposeAdministrativeBasis, PurposeReference, PurposeVerification, PurposeCollaboration}
	semantics = []Semantic{SemanticIDNumber, SemanticName, SemanticPhone, SemanticAddress, SemanticBankCard, SemanticUSCC}
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

func checkItems(items []Item) []Defect {
	if len(items) == 0 {
		return []Defect{missing("items")}
	}
	var defects []Defect
	seen := map[string]bool{} // in lower case: no event may carry keys that differ in case only
	for i, item := range items {
		at := fmt.Sprintf("items[%d]", i)
		if !item.ID.Valid() {
			defects = append(defects, Defect{at + ".id", Text{"信息项标识不正确", "not an item identifier"}, itemID.String()})
		}
		key := strings.ToLower(string(item.ID))
		if seen[key] {
			defects = append(defects, Defect{at + ".id", Text{"信息项重复", "this item is listed twice"}, "each item once, whatever its case"})
		}
		seen[key] = true
		if strings.TrimSpace(item.Name) == "" {
			defects = append(defects, missing(at+".name"))
		}
		defects = append(defects, oneOf(at+".type", item.Type, itemTypes)...)
		if item.Grade < 1 || item.Grade > 4 {
			defects = append(defects, Defect{at + ".grade", Text{"数据分级超出范围", "grade out of range"}, "1–4"})
		}
		if item.Length < 0 {
			defects = append(defects, Defect{at + ".length", Text{"长度不能为负", "length is negative"}, "0 or more"})
		}
		if item.Sharing != "" {
			defects = append(defects, oneOf(at+".sharing", item.Sharing, sharings)...)
		}
		if item.Semantic != SemanticNone {
			defects = append(defects, oneOf(at+".semantic", item.Semantic, semantics)...)
		}
	}
	return defects
}

// Item returns the item with the given id.
func (r Resource) Item(id ItemID) (Item, bool) {
	i := slices.IndexFunc(r.Items, func(it Item) bool { return it.ID == id })
	if i < 0 {
		return Item{}, false
	}
	return r.Items[i], true
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
