package bus

import (
	_ "embed"
	"encoding/csv"
	"slices"
	"strings"
)

// DivisionCode is an administrative division code (行政区划代码, GB/T 2260):
// six digits, or nine for a town.
type DivisionCode string

// Valid reports whether c has the form of a code: that of a province, a city, a
// county or a town.
func (c DivisionCode) Valid() bool {
	if len(c) != 6 && len(c) != 9 {
		return false
	}
	return strings.Trim(string(c), "0123456789") == "" && c[:2] != "00"
}

// Level is the level of a division.
type Level string

// The levels, from the top.
const (
	LevelProvince Level = "province"
	LevelCity     Level = "city"
	LevelCounty   Level = "county"
	LevelTown     Level = "town"
)

// Division is an administrative division (行政区划). Its data authority
// (政务数据主管部门) reviews the catalogue entries of its departments, and of those
// below it that have none of their own (decree 809 art. 16).
type Division struct {
	Code      DivisionCode `json:"code"`
	Name      string       `json:"name"`
	Level     Level        `json:"level"`
	Parent    DivisionCode `json:"parent,omitempty"`
	Authority USCC         `json:"authority,omitempty"`
	Revision  Revision     `json:"revision,omitempty"`
}

//go:embed guangdong_divisions.csv
var guangdongCSV string

// Guangdong returns the 144 divisions of Guangdong from province to county
// (GB/T 2260 as of 2023-06-30), parents before children.
func Guangdong() []Division {
	rows, err := csv.NewReader(strings.NewReader(guangdongCSV)).ReadAll()
	if err != nil {
		panic("embedded divisions: " + err.Error()) // a broken build, not input
	}
	divisions := make([]Division, 0, len(rows)-1)
	for _, row := range rows[1:] {
		divisions = append(divisions, Division{
			Code: DivisionCode(row[0]), Name: row[1], Level: Level(row[2]), Parent: DivisionCode(row[4]),
		})
	}
	return divisions
}

// Divisions finds divisions by code.
type Divisions map[DivisionCode]Division

// Chain returns code and its ancestors, nearest first; empty for an unknown
// code. It ends where parents would form a circle.
func (ds Divisions) Chain(code DivisionCode) []DivisionCode {
	var chain []DivisionCode
	for d, ok := ds[code]; ok && !slices.Contains(chain, d.Code); d, ok = ds[d.Parent] {
		chain = append(chain, d.Code)
	}
	return chain
}

// Within reports whether code is root or lies below it.
func (ds Divisions) Within(code, root DivisionCode) bool {
	return slices.Contains(ds.Chain(code), root)
}
