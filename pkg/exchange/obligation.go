package exchange

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Apply returns e with obligations applied to its data: of every object only
// ob.Items are left, in that order, with their masks applied; an item that is
// absent stays absent. What is not masked keeps its exact text. Data is one JSON
// object or an array of them; an event without data passes as it is. The
// attributes of e are not touched, and e itself is not changed.
//
// Data of any other shape gives CodeDenied, as does a mask that is not valid:
// what can't be enforced is not passed on.
func Apply(e event.Event, ob bus.Obligations) (event.Event, error) {
	if len(e.DataEncoded) == 0 {
		return e, nil
	}
	p, err := newProjection(ob)
	if err != nil {
		return event.Event{}, err
	}
	if !jsonData(e) {
		return event.Event{}, unenforceable("data", "")
	}
	if err := strictjson.Check(e.DataEncoded, strictjson.Limits{}); err != nil {
		return event.Event{}, unenforceable("data", "").Because(err)
	}
	data, err := p.project(e.DataEncoded)
	if err != nil {
		return event.Event{}, err
	}
	e = e.Clone()
	e.DataEncoded, e.DataBase64 = data, false
	return e, nil
}

func jsonData(e event.Event) bool {
	contentType := e.DataMediaType()
	return contentType == "application/json" || strings.HasSuffix(contentType, "/json") || strings.HasSuffix(contentType, "+json")
}

func unenforceable(field, item string) *bus.Error {
	return bus.E(bus.CodeDenied, bus.Defect{
		Field:   field + item,
		Problem: bus.Text{ZH: "无法对此内容执行信息项限制和脱敏要求", EN: "is content on which the obligations can't be enforced"},
		Allowed: "a JSON object or an array of JSON objects, and known masks",
	})
}

// projection is a set of obligations made ready for many objects.
type projection struct {
	items  []bus.ItemID
	masks  []bus.Mask        // by place; the zero mask leaves the value
	places map[string]int    // item → place
	values []json.RawMessage // of the object at hand, by place
}

func newProjection(ob bus.Obligations) (*projection, error) {
	for item, m := range ob.Masks {
		if !m.Valid() {
			return nil, unenforceable("masks.", string(item))
		}
	}
	p := &projection{places: map[string]int{}}
	for _, item := range ob.Items {
		if _, twice := p.places[string(item)]; twice || ob.Masks[item].Method == bus.MaskDrop {
			continue
		}
		p.places[string(item)] = len(p.items)
		p.items = append(p.items, item)
		p.masks = append(p.masks, ob.Masks[item])
	}
	p.values = make([]json.RawMessage, len(p.items))
	return p, nil
}

// project returns what is left of checked data.
func (p *projection) project(data []byte) ([]byte, error) {
	left := make([]byte, 0, len(data))
	switch strictjson.Kind(data) {
	case '{':
		return p.appendObject(left, data), nil
	case '[':
		left = append(left, '[')
		for i, element := range strictjson.Elements(data) {
			if strictjson.Kind(element) != '{' {
				return nil, unenforceable("data", "["+strconv.Itoa(i)+"]")
			}
			if i > 0 {
				left = append(left, ',')
			}
			left = p.appendObject(left, element)
		}
		return append(left, ']'), nil
	}
	return nil, unenforceable("data", "")
}

func (p *projection) appendObject(dst, object []byte) []byte {
	clear(p.values)
	for name, value := range strictjson.Members(object) {
		if place, ok := p.places[name]; ok {
			p.values[place] = value
		}
	}
	dst = append(dst, '{')
	first := true
	for place, value := range p.values {
		if value == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(strictjson.AppendString(dst, string(p.items[place])), ':')
		dst = strictjson.AppendCompact(dst, mask(value, p.masks[place]))
	}
	return append(dst, '}')
}

// mask returns what m leaves of a checked JSON value: of text, its masked text;
// of a number, the mask of its digits as text; null for anything else, and for
// a method that leaves nothing. The zero mask leaves everything.
func mask(value json.RawMessage, m bus.Mask) json.RawMessage {
	if m == (bus.Mask{}) {
		return value
	}
	text, ok := strictjson.Text(value)
	if strictjson.Kind(value) == '0' {
		text, ok = string(value), true
	}
	if !ok {
		return json.RawMessage("null")
	}
	runes := []rune(text)
	switch m.Method {
	case bus.MaskKeep:
		text = keep(runes, m.Head, m.Tail)
	case bus.MaskSurname:
		text = keep(runes, surname(runes), 0)
	case bus.MaskCounty:
		text = cutAfterCounty(runes)
	default:
		return json.RawMessage("null")
	}
	return strictjson.AppendString(nil, text)
}

// keep stars all but head and tail characters; all of them where nothing would
// be starred.
func keep(runes []rune, head, tail int) string {
	if head >= len(runes) || tail >= len(runes)-head {
		head, tail = 0, 0
	}
	masked := slices.Clone(runes)
	for i := head; i < len(masked)-tail; i++ {
		masked[i] = '*'
	}
	return string(masked)
}

// compoundSurnames are the surnames of two characters (复姓) in use.
const compoundSurnames = "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶 太叔 申屠 " +
	"公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 " +
	"令狐 段干 百里 呼延 东郭 南门 羊舌 微生 梁丘 左丘 东门 西门 第五 歐陽 東方 獨孤 諸葛 尉遲 長孫"

// surname returns how many characters of a name may be shown: two for a
// compound surname that is not the whole name, else one.
func surname(name []rune) int {
	if len(name) > 2 && name[0] != ' ' && name[1] != ' ' && strings.Contains(compoundSurnames, string(name[:2])) {
		return 2
	}
	return 1
}

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
