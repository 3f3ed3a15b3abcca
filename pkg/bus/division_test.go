package bus_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func guangdong() bus.Divisions {
	divisions := bus.Divisions{}
	for _, d := range bus.Guangdong() {
		divisions[d.Code] = d
	}
	return divisions
}

func TestGuangdongHasOneProvinceTwentyOneCitiesAndTheirCounties(t *testing.T) {
	counts := map[bus.Level]int{}
	seen := bus.Divisions{}
	for _, d := range bus.Guangdong() {
		counts[d.Level]++
		if _, ok := seen[d.Code]; ok {
			t.Errorf("%s is there twice", d.Code)
		}
		if parent, ok := seen[d.Parent]; !ok && d.Level != bus.LevelProvince {
			t.Errorf("%s %s comes before its parent %s", d.Code, d.Name, d.Parent)
		} else if d.Level == bus.LevelCounty && parent.Level != bus.LevelCity || d.Level == bus.LevelCity && parent.Level != bus.LevelProvince {
			t.Errorf("%s %s, a %s, lies below a %s", d.Code, d.Name, d.Level, parent.Level)
		}
		if len(d.Code) != 6 || d.Name == "" {
			t.Errorf("%+v", d)
		}
		seen[d.Code] = d
	}
	if len(seen) != 144 || counts[bus.LevelProvince] != 1 || counts[bus.LevelCity] != 21 || counts[bus.LevelCounty] != 122 {
		t.Errorf("%d divisions, %v", len(seen), counts)
	}
}

func TestDongguanAndZhongshanHaveNoCounties(t *testing.T) {
	children := map[bus.DivisionCode]int{}
	for _, d := range bus.Guangdong() {
		children[d.Parent]++
	}
	for _, d := range bus.Guangdong() {
		bare := d.Code == "441900" || d.Code == "442000"
		if d.Level == bus.LevelCity && bare != (children[d.Code] == 0) {
			t.Errorf("%s %s has %d counties", d.Code, d.Name, children[d.Code])
		}
	}
	for code, name := range map[bus.DivisionCode]string{"440000": "广东省", "440100": "广州市", "440106": "天河区", "440305": "南山区", "441900": "东莞市", "442000": "中山市"} {
		if got := guangdong()[code].Name; got != name {
			t.Errorf("%s is %s, want %s", code, got, name)
		}
	}
}

func TestGuangdongIsNotShared(t *testing.T) {
	bus.Guangdong()[0].Name = "changed"
	if bus.Guangdong()[0].Name != "广东省" {
		t.Error("a caller changed the divisions of all others")
	}
}

func TestChainAndWithin(t *testing.T) {
	divisions := guangdong()
	divisions["440106001"] = bus.Division{Code: "440106001", Level: bus.LevelTown, Parent: "440106"}
	for code, want := range map[bus.DivisionCode]string{
		"440000":    "440000",
		"440100":    "440100 440000",
		"440106":    "440106 440100 440000",
		"440106001": "440106001 440106 440100 440000",
		"441900":    "441900 440000",
		"450000":    "",
		"":          "",
	} {
		var got []string
		for _, c := range divisions.Chain(code) {
			got = append(got, string(c))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("chain of %q is %v, want %s", code, got, want)
		}
	}
	for _, tc := range []struct {
		code, root bus.DivisionCode
		want       bool
	}{
		{"440106", "440106", true},
		{"440106", "440100", true},
		{"440106", "440000", true},
		{"440106001", "440100", true},
		{"440106", "440300", false},
		{"440100", "440106", false},
		{"440106", "4401", false},
		{"440106", "", false},
		{"450000", "450000", false}, // unknown: within nothing, not even itself
		{"", "", false},
	} {
		if got := divisions.Within(tc.code, tc.root); got != tc.want {
			t.Errorf("Within(%q, %q) = %v", tc.code, tc.root, got)
		}
	}
}

func TestChainEndsWhereParentsFormACircle(t *testing.T) {
	circle := bus.Divisions{
		"1": {Code: "1", Parent: "2"},
		"2": {Code: "2", Parent: "3"},
		"3": {Code: "3", Parent: "1"},
		"4": {Code: "4", Parent: "4"},
	}
	if got := circle.Chain("1"); !slices.Equal(got, []bus.DivisionCode{"1", "2", "3"}) {
		t.Errorf("got %v", got)
	}
	if circle.Within("4", "1") {
		t.Error("4 is not within 1")
	}
}
