package exchange

import (
	"slices"
	"strings"
)

// tier is the level of one component of an address.
type tier int

const (
	tierNone tier = iota
	tierProvince
	tierCity
	tierCounty
)

// cutAfterCounty leaves an address down to its county and four stars; all of it
// is starred where a county can't be told for sure below a province or city.
func cutAfterCounty(address []rune) string {
	if end := countyEnd(address); end > 0 {
		return string(address[:end]) + "****"
	}
	return keep(address, 0, 0)
}

// countyEnd returns where the county of an address ends, or 0. It reads the
// components by their endings, as there is no list of the counties of all
// provinces here, and gives up wherever an ending could be a smaller place.
func countyEnd(address []rune) int {
	leagues := strings.Contains(string(address[:min(len(address), 8)]), "内蒙古")
	end, above := 0, tierNone
	for {
		n, level := component(address[end:], above, leagues)
		if level <= above || level == tierCounty && above == tierNone {
			return 0
		}
		name := strings.TrimSpace(string(address[end : end+n]))
		end += n
		if level == tierCounty {
			return end
		}
		if withoutCounties(name) {
			return 0
		}
		above = level
	}
}

// withoutCounties tells the cities whose towns hang directly off them.
func withoutCounties(city string) bool {
	for _, name := range []string{"东莞市", "中山市", "儋州市", "嘉峪关市", "三沙市"} {
		if strings.HasSuffix(city, name) {
			return true
		}
	}
	return false
}

// component returns the length and the tier of the first component of rest;
// leagues says that 盟 and 旗 are divisions there.
func component(rest []rune, above tier, leagues bool) (int, tier) {
	const longest = 18 // 中国 and an autonomous prefecture or county
	for i, r := range rest[:min(len(rest), longest)] {
		next := rune(0)
		if i+1 < len(rest) {
			next = rest[i+1]
		}
		if r < 0x80 && r != ' ' || r >= '０' && r <= '９' || i >= 2 && belowCounty(r, next) {
			return 0, tierNone
		}
		if i == 0 || r == '市' && next == '场' {
			continue
		}
		if level := tierOf(strings.TrimSpace(string(rest[:i+1])), above, leagues); level != tierNone {
			return i + 1, level
		}
		if strings.ContainsRune("区县", r) {
			return 0, tierNone // an ending that is no division
		}
	}
	return 0, tierNone
}

// belowCounty reports whether r ends the name of a town or street, and is not
// part of a larger name such as 新乡市 or 东乡族自治县.
func belowCounty(r, next rune) bool {
	return strings.ContainsRune("街路道巷弄村镇乡屯栋幢号楼室", r) && !strings.ContainsRune("市县区族", next)
}

func tierOf(name string, above tier, leagues bool) tier {
	length := len([]rune(name))
	ends := func(endings ...string) bool {
		return slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(name, ending) && name != ending })
	}
	switch {
	case above == tierNone && (ends("自治区", "特别行政区") || ends("省") && length <= 6):
		return tierProvince
	case above < tierCity && (ends("自治州", "地区") || ends("盟") && leagues || ends("市") && length <= 9):
		return tierCity
	case ends("自治县", "自治旗") || ends("旗") && leagues && length <= 9:
		return tierCounty
	case length <= 5 && ends("县", "市", "区") && !smallerThanCounty(name):
		return tierCounty
	}
	return tierNone
}

// smallerThanCounty tells places that only sound like a district.
func smallerThanCounty(name string) bool {
	for _, ending := range []string{
		"小区", "社区", "园区", "校区", "厂区", "景区", "院区", "片区", "库区", "街区", "镇区", "工业区", "住宅区", "生活区",
		"别墅区", "宿舍区", "家属区", "开发区", "保税区", "示范区", "度假区", "保护区", "商业区", "一区", "二区", "三区", "四区", "五区",
	} {
		if strings.HasSuffix(name, ending) && name != "上街区" {
			return true
		}
	}
	return false
}
