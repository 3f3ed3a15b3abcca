package bus

import (
	"fmt"
	"slices"
	"strings"
)

// Semantic says what an item means, where that decides how it is masked.
type Semantic string

// The semantics: of those that are of a person, the base policy masks the values;
// by the division that a row is about, it keeps to the range of a grant.
const (
	SemanticNone     Semantic = ""
	SemanticIDNumber Semantic = "id-number" // 居民身份证号
	SemanticName     Semantic = "name"
	SemanticPhone    Semantic = "phone"
	SemanticAddress  Semantic = "address"
	SemanticBankCard Semantic = "bank-card"
	SemanticUSCC     Semantic = "uscc"
	SemanticDivision Semantic = "division" // 行政区划代码 of what the row is about
)

// Item is an information item (信息项) of a resource.
type Item struct {
	ID       ItemID      `json:"id"`                 // its key in the data
	Name     string      `json:"name"`               // Chinese name
	English  string      `json:"english,omitempty"`  // English name, where it is not the id
	Type     string      `json:"type"`               // C N Y D T L M G B I F
	Length   int         `json:"length,omitempty"`   // characters; 0 is unstated
	Grade    int         `json:"grade"`              // data grade 1 (lowest) – 4
	Sharing  SharingType `json:"sharing,omitempty"`  // where it differs from the resource's
	Open     bool        `json:"open,omitempty"`     // open to the public
	Semantic Semantic    `json:"semantic,omitempty"` // what it means
	Personal bool        `json:"personal,omitempty"` // personal information that no semantic tells of
	Source   bool        `json:"source,omitempty"`   // claimed to be the one source of it (一数一源)
}

// IsPersonal reports whether the item is personal information: by what it means,
// or because its provider says so.
func (i Item) IsPersonal() bool {
	return i.Personal || !slices.Contains([]Semantic{SemanticNone, SemanticUSCC, SemanticDivision}, i.Semantic)
}

var (
	itemTypes = []string{"C", "N", "Y", "D", "T", "L", "M", "G", "B", "I", "F"}
	semantics = []Semantic{SemanticIDNumber, SemanticName, SemanticPhone, SemanticAddress, SemanticBankCard, SemanticUSCC, SemanticDivision}
)

// checkItems returns the defects of form of items; what they lack is for Gate.
func checkItems(items []Item) []Defect {
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
		defects = append(defects, known(at+".type", item.Type, itemTypes)...)
		if item.Grade < 0 || item.Grade > 4 {
			defects = append(defects, Defect{at + ".grade", Text{"数据分级超出范围", "grade out of range"}, "1–4"})
		}
		if item.Length < 0 {
			defects = append(defects, Defect{at + ".length", Text{"长度不能为负", "length is negative"}, "0 or more"})
		}
		defects = append(defects, known(at+".sharing", item.Sharing, sharings)...)
		defects = append(defects, known(at+".semantic", item.Semantic, semantics)...)
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
