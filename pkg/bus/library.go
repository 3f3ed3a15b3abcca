package bus

import (
	"regexp"
	"slices"
	"strings"
)

// Library groups resources by their codes (基础库, 主题库): whatever carries a code
// that begins with its prefix belongs to it.
type Library struct {
	ID       LibraryID   `json:"id"`
	Kind     LibraryKind `json:"kind"`
	Name     string      `json:"name"`
	Prefix   string      `json:"prefix"`         // of directory codes: class and item, as "101"
	Lead     USCC        `json:"lead,omitempty"` // the department in charge of it (牵头部门)
	Revision Revision    `json:"revision"`

	Resources int `json:"resources,omitempty"` // in force that the caller may discover, counted where one library is shown
}

// themePrefix is what may begin the codes of a theme: class 2, an item, and more.
var themePrefix = regexp.MustCompile(`^2\d{2}(\d{0,3}|\d{3}[0-9A-Za-z]*)$`)

// Check returns every defect of a theme that shows without looking anything up.
func (l Library) Check() []Defect {
	defects := CheckID("id", l.ID)
	defects = append(defects, oneOf("kind", l.Kind, []LibraryKind{LibraryTheme})...)
	if !filled(l.Name) {
		defects = append(defects, missing("name"))
	}
	if !themePrefix.MatchString(l.Prefix) || len(l.Prefix) > maxCode {
		defects = append(defects, Defect{"prefix", Text{"不是主题类目录代码的前缀", "does not begin codes of class 2"}, themePrefix.String()})
	}
	if l.Lead != "" {
		defects = append(defects, checkUSCC("lead", l.Lead)...)
	}
	return defects
}

// Overlaps reports whether a code could belong to both libraries.
func (l Library) Overlaps(other Library) bool {
	return strings.HasPrefix(l.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, l.Prefix)
}

// Holds reports whether a resource with these codes belongs to l.
func (l Library) Holds(codes []ResourceCode) bool {
	return slices.ContainsFunc(codes, func(c ResourceCode) bool { return strings.HasPrefix(string(c), l.Prefix) })
}

// LibraryKind is the kind of a library.
type LibraryKind string

// The kinds.
const (
	LibraryBase  LibraryKind = "base"  // 基础信息资源
	LibraryTheme LibraryKind = "theme" // 主题信息资源
)

// BaseLibraries are the five of the coding rule (发改高技〔2017〕1272号).
func BaseLibraries() []Library {
	return []Library{
		{ID: "population", Kind: LibraryBase, Name: "人口", Prefix: "101"},
		{ID: "legal-entities", Kind: LibraryBase, Name: "法人", Prefix: "102"},
		{ID: "natural-resources", Kind: LibraryBase, Name: "自然资源和空间地理", Prefix: "103"},
		{ID: "social-credit", Kind: LibraryBase, Name: "社会信用", Prefix: "104"},
		{ID: "electronic-licences", Kind: LibraryBase, Name: "电子证照", Prefix: "105"},
	}
}
