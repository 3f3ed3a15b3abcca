package bus

// Lang is a language that people read the bus in.
type Lang string

// The languages of the bus.
const (
	English Lang = "en"
	Chinese Lang = "zh-CN"
)

// Text is a sentence for people, in both languages of the bus.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// In returns the text in lang, or in the other language where lang has none.
func (t Text) In(lang Lang) string {
	if lang == Chinese && t.ZH != "" || t.EN == "" {
		return t.ZH
	}
	return t.EN
}
