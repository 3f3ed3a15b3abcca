package decision

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Line is one line of an explanation.
type Line struct {
	Label bus.Text `json:"label"`
	Text  bus.Text `json:"text"`
}

// asked is what an explanation tells of the input.
type asked struct {
	Consumer party `json:"consumer"`
	Provider party `json:"provider"`
	Resource struct {
		Name    string `json:"name"`
		Sharing struct {
			Type     bus.SharingType `json:"type"`
			Purposes []bus.Purpose   `json:"purposes"`
		} `json:"sharing"`
	} `json:"resource"`
	Grant *struct {
		ID        bus.GrantID `json:"id"`
		NotBefore time.Time   `json:"not_before"`
		NotAfter  time.Time   `json:"not_after"`
		Suspended bool        `json:"suspended"`
		Revoked   bool        `json:"revoked"`
	} `json:"grant"`
	Items     []bus.ItemID `json:"items"`
	Case      string       `json:"case"`
	Directory struct {
		Age int `json:"age_seconds"`
	} `json:"directory"`
}

type party struct {
	Department bus.USCC         `json:"department"`
	Division   bus.DivisionCode `json:"division"`
	System     bus.SystemID     `json:"system"`
	Role       bus.Role         `json:"role"`
}

// Words tells why a decision came out as it did: who asked what of whom, when,
// under which grant and purpose, what each layer said by which rule, what has to be
// done to the data, and what can be done about a denial.
func Words(e Event) []Line {
	var in asked
	known := len(e.Input) > 0 && json.Unmarshal(e.Input, &in) == nil
	w := &words{}
	w.opening(e, in, known)
	w.layers(e)
	if e.Result.Allow {
		w.obligations(e.Result.Obligations)
	}
	about := About{Action: e.Custom.Action, Purposes: in.Resource.Sharing.Purposes}
	if in.Grant != nil {
		about.From = in.Grant.NotBefore
	}
	for _, r := range e.Result.Reasons {
		w.add("怎么办", "what to do", both(Remedy(r, about), "（"+r.Code+"）", " ("+r.Code+")"))
	}
	if len(e.Masked) > 0 {
		list := strings.Join(e.Masked, ", ")
		w.say("已遮蔽", "masked in the record", list, list)
	}
	w.say("存证", "evidence", fmt.Sprintf("节点 %s 第 %d 片叶子", e.Labels.Node, e.Custom.Leaf), fmt.Sprintf("leaf %d of node %s", e.Custom.Leaf, e.Labels.Node))
	if !known {
		w.say("说明", "note", "记录中没有决策依据，无法给出各层结论", "the record does not hold what the decision was made of: what each layer said is not known")
	}
	return w.lines
}

type words struct{ lines []Line }

func (w *words) add(zh, en string, text bus.Text) {
	w.lines = append(w.lines, Line{bus.Text{ZH: zh, EN: en}, text})
}

func (w *words) say(labelZH, labelEN, zh, en string) {
	w.add(labelZH, labelEN, bus.Text{ZH: zh, EN: en})
}

func both(t bus.Text, zh, en string) bus.Text { return bus.Text{ZH: t.ZH + zh, EN: t.EN + en} }

var actions = map[string]bus.Text{
	"publish": {ZH: "发布", EN: "publish"}, "subscribe": {ZH: "订阅", EN: "subscribe"}, "forward": {ZH: "转发", EN: "forward"},
	"deliver": {ZH: "交付", EN: "deliver"}, "discover": {ZH: "发现", EN: "discover"}, "query": {ZH: "查询", EN: "query"},
	"apply": {ZH: "申请", EN: "apply"}, "download": {ZH: "下载", EN: "download"},
}

var purposes = map[bus.Purpose]string{
	bus.PurposeAdministrativeBasis: "行政依据", bus.PurposeReference: "工作参考", bus.PurposeVerification: "数据校核", bus.PurposeCollaboration: "业务协同",
}

func (w *words) opening(e Event, in asked, known bool) {
	c := e.Custom
	action, ok := actions[c.Action]
	if !ok {
		action = bus.Text{ZH: c.Action, EN: c.Action}
	}
	if e.Result.Allow {
		w.say("结论", "outcome", "允许"+action.ZH, action.EN+" is allowed")
	} else {
		w.say("结论", "outcome", "拒绝"+action.ZH, action.EN+" is denied")
	}
	at := e.Timestamp.In(beijing).Format("2006-01-02 15:04:05.000")
	w.say("时间与地点", "when and where",
		fmt.Sprintf("%s，节点 %s，目录序号 %d", at, e.Labels.Node, c.Index), fmt.Sprintf("%s (UTC+8), node %s, directory index %d", at, e.Labels.Node, c.Index))
	if known {
		w.say("副本", "replica", fmt.Sprintf("%d 秒前与主节点一致", in.Directory.Age), fmt.Sprintf("%d s since the leader was heard", in.Directory.Age))
	}
	w.say("谁", "who", whoIs(in.Consumer, c.Consumer, e.RequestedBy), whoIs(in.Consumer, c.Consumer, e.RequestedBy))
	w.say("向谁", "of whom", whoIs(in.Provider, c.Provider, ""), whoIs(in.Provider, c.Provider, ""))
	what := strings.TrimSpace(string(c.Resource) + " " + in.Resource.Name)
	if len(in.Items) > 0 {
		what += ": " + joined(in.Items)
	}
	if c.Events > 0 && c.Last > 0 {
		w.say("什么", "what", fmt.Sprintf("%s，事件 %d–%d", what, c.First, c.Last), fmt.Sprintf("%s, events %d–%d", what, c.First, c.Last))
	} else {
		w.say("什么", "what", what, what)
	}
	if c.Purpose != "" {
		w.say("用途", "purpose", strings.TrimSpace(purposes[c.Purpose]+" "+string(c.Purpose)), string(c.Purpose))
	}
	if c.Matter != "" {
		w.say("事项", "matter", c.Matter, c.Matter)
	}
	if c.Basis != "" {
		w.say("依据", "basis", c.Basis, c.Basis)
	}
	w.grant(in, known, c.Grant)
}

var beijing = time.FixedZone("UTC+8", 8*60*60)

func whoIs(p party, department bus.USCC, by string) string {
	var parts []string
	for _, part := range []string{string(department), string(p.Division), string(p.System), string(p.Role)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, " · ")
	if by != "" {
		text = strings.TrimSpace(text + " (" + by + ")")
	}
	if text == "" {
		return "—"
	}
	return text
}

func (w *words) grant(in asked, known bool, named bus.GrantID) {
	if !known || in.Grant == nil {
		if named != "" {
			w.say("授权", "grant", string(named)+"（目录中没有可用的授权）", string(named)+" (the directory held none that could be used)")
		}
		return
	}
	from, to := in.Grant.NotBefore.In(beijing).Format(time.DateOnly), in.Grant.NotAfter.In(beijing).Format(time.DateOnly)
	zh, en := fmt.Sprintf("%s，%s 至 %s", in.Grant.ID, from, to), fmt.Sprintf("%s, %s to %s", in.Grant.ID, from, to)
	if in.Grant.Revoked {
		zh, en = zh+"，已撤销", en+", revoked"
	}
	if in.Grant.Suspended {
		zh, en = zh+"，已暂停", en+", suspended"
	}
	w.say("授权", "grant", zh, en)
}

// layers tells what each layer said.
func (w *words) layers(e Event) {
	for _, v := range e.Result.Verdicts {
		label := string(v.Layer) + " @" + short(e.Bundles[v.Layer].Revision)
		w.add(label, label, verdict(v))
	}
	for _, id := range slices.Sorted(maps.Keys(e.Bundles)) {
		heard := slices.ContainsFunc(e.Result.Verdicts, func(v bus.Verdict) bool { return v.Layer == id })
		if !heard && len(e.Result.Verdicts) > 0 {
			w.say(string(id), string(id), "没有给出结论", "was not heard")
		}
	}
	if len(e.Result.Verdicts) == 0 { // the record holds the decision alone
		for _, r := range e.Result.Reasons {
			w.add(string(r.Layer), string(r.Layer), bus.Text{ZH: r.Code + " " + r.Message.ZH, EN: r.Code + " " + r.Message.EN})
		}
	}
}

// short cuts the digest that stands for a revision of base.
func short(revision string) string {
	const shown = len("sha256:") + 12
	if strings.HasPrefix(revision, "sha256:") && len(revision) > shown {
		return revision[:shown]
	}
	return revision
}

func verdict(v bus.Verdict) bus.Text {
	var zh, en []string
	say := func(z, e string) { zh, en = append(zh, z), append(en, e) }
	if v.Layer == bus.BaseLayer && v.Allow {
		say("允许", "allows")
	}
	for _, r := range v.Reasons {
		at := place(v.Fired, func(rule bus.Rule) bool { return rule.Code == r.Code })
		kind := bus.Text{ZH: "拒绝 ", EN: "denies: "}
		if r.Hold {
			kind = bus.Text{ZH: "暂缓 ", EN: "holds: "}
		}
		say(kind.ZH+r.Code+at+" "+r.Message.ZH, kind.EN+r.Code+at+" "+r.Message.EN)
	}
	if len(v.Reasons) == 0 {
		if o := told(obligationsOf(v), v.Fired); v.Items != nil || o.EN != "" {
			say(o.ZH, o.EN)
		}
	}
	if len(zh) == 0 {
		say("无意见", "says nothing")
	}
	return bus.Text{ZH: strings.Join(zh, "；"), EN: strings.Join(en, "; ")}
}

func obligationsOf(v bus.Verdict) bus.Obligations {
	return bus.Obligations{Items: v.Items, Masks: v.Masks, Rows: v.Rows, Limits: v.Limits, Watermark: v.Watermark}
}

// place gives the rules that fit as " (file:row)".
func place(fired []bus.Rule, fits func(bus.Rule) bool) string {
	var at []string
	for _, r := range fired {
		if fits(r) {
			at = append(at, r.String())
		}
	}
	if len(at) == 0 {
		return ""
	}
	return " (" + strings.Join(at, ", ") + ")"
}

func (w *words) obligations(o bus.Obligations) {
	text := told(o, nil)
	if len(o.Items) == 0 {
		text = bus.Text{ZH: "不交出任何信息项", EN: "no item passes"}
	}
	w.add("义务", "obligations", text)
}

// told says what has to be done to the data.
func told(o bus.Obligations, fired []bus.Rule) bus.Text {
	var zh, en []string
	say := func(export, z, e string) {
		at := place(fired, func(r bus.Rule) bool { return r.Name == export })
		zh, en = append(zh, z+at), append(en, e+at)
	}
	if o.Items != nil {
		say("items", "信息项 "+joined(o.Items), "items "+joined(o.Items))
	}
	if len(o.Masks) > 0 {
		var masks []string
		for _, id := range slices.Sorted(maps.Keys(o.Masks)) {
			masks = append(masks, string(id)+" "+maskText(o.Masks[id]))
		}
		list := strings.Join(masks, ", ")
		say("masks", "脱敏 "+list, "masked "+list)
	}
	for _, c := range o.Rows {
		condition := string(c.Item) + " ∈ " + joined(c.Within) + joined(c.Equals)
		say("rows", "仅含 "+condition+" 的行", "rows with "+condition+" only")
	}
	for _, l := range o.Limits {
		say("limits", fmt.Sprintf("每 %s 限 %d（按 %s）", l.Per, l.Limit, l.Key), fmt.Sprintf("at most %d a %s and %s", l.Limit, l.Per, l.Key))
	}
	if o.Watermark {
		say("watermark", "加水印", "watermarked")
	}
	return bus.Text{ZH: strings.Join(zh, "；"), EN: strings.Join(en, "; ")}
}

func maskText(m bus.Mask) string {
	if m.Head != 0 || m.Tail != 0 {
		return fmt.Sprintf("%s %d+%d", m.Method, m.Head, m.Tail)
	}
	return string(m.Method)
}

func joined[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
