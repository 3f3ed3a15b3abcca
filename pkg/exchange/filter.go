package exchange

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// meets reports whether a checked JSON value, nil where a row has none, meets a
// condition. What cannot be compared does not.
func meets(value json.RawMessage, c bus.RowCondition) bool {
	text, ok := scalar(value)
	if !ok {
		return false
	}
	if len(c.Equals) > 0 {
		return slices.Contains(c.Equals, text)
	}
	return slices.ContainsFunc(c.Within, func(root bus.DivisionCode) bool { return within(text, root) })
}

// within reports whether a division code lies in the subtree of root. A code says
// by its digits what it lies in: two of the province, two of the city, two of the
// county, three of the town, three of the village. 东莞 and 中山 have towns
// without counties, 441900001, which lie in 441900 all the same.
func within(code string, root bus.DivisionCode) bool {
	if len(code) != 6 && len(code) != 9 && len(code) != 12 || strings.Trim(code, "0123456789") != "" {
		return false
	}
	stem := string(root)
	if len(stem) == 9 {
		stem = strings.TrimSuffix(stem, "000")
	}
	if len(stem) == 6 {
		stem = strings.TrimSuffix(strings.TrimSuffix(stem, "00"), "00")
	}
	return len(stem) >= 2 && strings.HasPrefix(code, stem)
}
