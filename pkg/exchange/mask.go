package exchange

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

var jsonNull = json.RawMessage("null")

// mask returns what m leaves of a checked JSON value: of text, its masked text;
// of a number, the mask of its digits as text; null for anything else, and for
// a method that leaves nothing. The zero mask leaves everything. key makes
// pseudonyms; without one they are null.
func mask(value json.RawMessage, m bus.Mask, key []byte) json.RawMessage {
	switch m.Method {
	case "":
		return value
	case bus.MaskVerify:
		return strconv.AppendBool(nil, present(value))
	}
	text, ok := scalar(value)
	if !ok || strictjson.Kind(value) == 't' {
		return jsonNull
	}
	runes := []rune(text)
	switch m.Method {
	case bus.MaskKeep:
		text = keep(runes, m.Head, m.Tail)
	case bus.MaskSurname:
		text = keep(runes, surname(runes), 0)
	case bus.MaskCounty:
		text = cutAfterCounty(runes)
	case bus.MaskYear:
		text, ok = yearOf(text)
	case bus.MaskPseudonym:
		text, ok = pseudonym(text, key), key != nil
	default:
		ok = false
	}
	if !ok {
		return jsonNull
	}
	return strictjson.AppendString(nil, text)
}

// scalar returns the text of a checked JSON text, the digits of a number, or the
// word of a boolean.
func scalar(value json.RawMessage) (text string, ok bool) {
	switch strictjson.Kind(value) {
	case '0', 't':
		return string(value), true
	default:
		return strictjson.Text(value)
	}
}

// present reports whether there is a value: anything but nothing, null and the
// empty text.
func present(value json.RawMessage) bool {
	text, isText := strictjson.Text(value)
	return value != nil && strictjson.Kind(value) != 'n' && !(isText && text == "")
}

var codeOf = base32.StdEncoding.WithPadding(base32.NoPadding)

// pseudonym gives the code that stands for a text under a key: 128 bits, so that
// two texts never share one, and nobody without the key can try texts. The empty
// text stays.
func pseudonym(text string, key []byte) string {
	if text == "" {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return "p:" + strings.ToLower(codeOf.EncodeToString(mac.Sum(nil)[:16]))
}

var writtenDate = regexp.MustCompile(`^(\d{4})(?:年(?:(\d{1,2})月(?:(\d{1,2})日)?)?|[-/.](\d{1,2})(?:[-/.](\d{1,2})(?:[T ]\d{2}:\d{2}[0-9:.]*(?:Z| ?[+-]\d{2}:?\d{2})?)?)?)?$`)

// yearOf returns the year of a date (1990, 19900101, 1990-01-01, 1990/1/1,
// 1990年1月1日, with a time after it or without), or the year of birth of an ID
// number of 18 or 15 digits. It is false for anything else.
func yearOf(text string) (string, bool) {
	digits := strings.TrimLeft(text, "0123456789") == ""
	switch {
	case len(text) == 18 && bus.ValidIDNumber(strings.ToUpper(text)):
		return text[6:10], dated(text[6:14])
	case len(text) == 15 && digits:
		return "19" + text[6:8], dated("19" + text[6:12])
	case len(text) == 8 && digits:
		return text[:4], dated(text)
	}
	parts := writtenDate.FindStringSubmatch(text)
	if parts == nil {
		return "", false
	}
	month, day := parts[2]+parts[4], parts[3]+parts[5]
	return parts[1], dated(parts[1] + twoDigits(month) + twoDigits(day))
}

func twoDigits(number string) string {
	switch len(number) {
	case 0:
		return "01"
	case 1:
		return "0" + number
	default:
		return number
	}
}

// dated reports whether eight digits are a day between 1800 and 2199.
func dated(digits string) bool {
	t, err := time.Parse("20060102", digits)
	return err == nil && t.Year() >= 1800 && t.Year() < 2200
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
