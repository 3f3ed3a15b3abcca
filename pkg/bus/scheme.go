package bus

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Scheme says how sharing performance is evaluated (共享绩效评价方案): which ratios
// of what is counted weigh how much. It is data: an authority replaces it, and every
// version is kept.
type Scheme struct {
	Name       string      `json:"name" yaml:"name"`
	Cap        int         `json:"cap" yaml:"cap"`                 // deductions take off so many points at most
	RankedFrom int         `json:"ranked_from" yaml:"ranked_from"` // applicable weight below which nobody is ranked
	Indicators []Indicator `json:"indicators" yaml:"indicators"`   // their weights add up to 100
	Deductions []Deduction `json:"deductions" yaml:"deductions"`
	Bands      []Band      `json:"bands" yaml:"bands"` // from the best; the last begins at 0
}

// Indicator is a ratio of two things that are counted (评价指标).
type Indicator struct {
	ID          string              `json:"id" yaml:"id"` // as "C1"
	Name        Text                `json:"name" yaml:"name"`
	Weight      int                 `json:"weight" yaml:"weight"`
	Numerator   Count               `json:"numerator" yaml:"numerator"`
	Denominator Count               `json:"denominator" yaml:"denominator"`
	Where       map[string][]string `json:"where,omitempty" yaml:"where"` // only what has one of these values, for each attribute
}

// Deduction takes points off for each thing of a kind that happened (扣分项).
type Deduction struct {
	ID     string `json:"id" yaml:"id"` // as "K1"
	Name   Text   `json:"name" yaml:"name"`
	Points int    `json:"points" yaml:"points"`
	Count  Count  `json:"count" yaml:"count"`
}

// Band is what a score is called (等次).
type Band struct {
	Name Text `json:"name" yaml:"name"`
	From int  `json:"from" yaml:"from"` // points, inclusive
}

// Count names something that is counted, with the department whose it is.
type Count string

// What is counted. Each event counts once, for the department that owned the
// resource at the time that decides on the window; the last two lines count for the
// consumer.
const (
	CountElementsRequired  Count = "elements.required"  // 核心元数据应填项, of entries published at the end of the window
	CountElementsFilled    Count = "elements.filled"    // those that are filled
	CountTriggersDue       Count = "triggers.due"       // changes of entries that were due
	CountTriggersMet       Count = "triggers.met"       // submitted in time
	CountLimitsStated      Count = "limits.stated"      // entries that are, or of which an item is, shared conditionally or not, at the end
	CountLimitsGrounded    Count = "limits.grounded"    // with range and purpose, or with a valid basis
	CountResourcesOffered  Count = "resources.offered"  // entries that can be shared, at the end
	CountResourcesBound    Count = "resources.bound"    // of which data flows: an endpoint or a feed
	CountRefreshesDue      Count = "refreshes.due"      // turns of the update cycles that ended, 1440 each; minutes of what is realtime
	CountRefreshesMet      Count = "refreshes.met"      // in which data came, 1440 each; minutes in which the service was there
	CountApplicationsDue   Count = "applications.due"   // answers that were due
	CountApplicationsMet   Count = "applications.met"   // given in time
	CountDeliveriesDue     Count = "deliveries.due"     // first exchanges that were due after a consent
	CountDeliveriesMet     Count = "deliveries.met"     // in time
	CountDemandsClosed     Count = "demands.closed"     // applications that came to an end, but for those withdrawn and lawfully refused
	CountDemandsMet        Count = "demands.met"        // approved and delivered
	CountCallsCharged      Count = "calls.charged"      // calls, less policy denials and the caller's own faults
	CountCallsSucceeded    Count = "calls.succeeded"    // that were answered
	CountBatchesAttempted  Count = "batches.attempted"  // batches that set out
	CountBatchesReconciled Count = "batches.reconciled" // that both sides have on record
	CountCorrectionsDue    Count = "corrections.due"    // feedbacks that were due
	CountCorrectionsMet    Count = "corrections.met"    // given in time
	CountErrorsDue         Count = "errors.due"         // confirmed errors whose term ended
	CountErrorsFixed       Count = "errors.fixed"       // corrected and retested
	CountReturnsDue        Count = "returns.due"        // return-flow deliveries that were due
	CountReturnsMet        Count = "returns.met"        // in time
	CountStopsUnreasoned   Count = "stops.unreasoned"   // shares stopped or changed against art. 27, as a ruling found
	CountConditionsAdded   Count = "conditions.added"   // conditions beyond the directory's, upheld by a ruling
	CountRecordsMissing    Count = "records.missing"    // use records of less than three years that are gone
	CountChainsBroken      Count = "chains.broken"      // evidence logs that do not verify
	CountUsesAll           Count = "uses.all"           // calls that a consumer made
	CountUsesWithin        Count = "uses.within"        // within the grant, with matter, case and purpose
	CountUsesBeyond        Count = "uses.beyond-upheld" // uses beyond their range, as a ruling found
)

// Source is where a count comes from.
type Source string

// The sources.
const (
	SourceDirectory Source = "directory" // times of the workflow
	SourceEvidence  Source = "evidence"  // rollups of the nodes' evidence
)

// counts lists every count, with its source and in words.
var counts = map[Count]struct {
	source Source
	text   Text
}{
	CountElementsRequired:  {SourceDirectory, Text{"应填的目录要素数", "elements that entries require"}},
	CountElementsFilled:    {SourceDirectory, Text{"已填的目录要素数", "elements that are filled"}},
	CountTriggersDue:       {SourceDirectory, Text{"到期的目录更新数", "changes of entries that were due"}},
	CountTriggersMet:       {SourceDirectory, Text{"按时提交的目录更新数", "changes submitted in time"}},
	CountLimitsStated:      {SourceDirectory, Text{"有条件共享、不予共享的目录数，信息项有此限制的计入", "entries that are, or of which an item is, shared conditionally or not"}},
	CountLimitsGrounded:    {SourceDirectory, Text{"其中范围、用途或者依据齐备的目录数", "those with range and purpose, or a valid basis"}},
	CountResourcesOffered:  {SourceDirectory, Text{"可共享的目录数", "entries that can be shared"}},
	CountResourcesBound:    {SourceEvidence, Text{"其中已挂接数据的目录数", "those with data behind them"}},
	CountRefreshesDue:      {SourceEvidence, Text{"到期的更新：每个更新周期计 1440，实时数据每分钟计 1", "refreshes due: 1440 a turn of the update cycle, 1 a minute of what is realtime"}},
	CountRefreshesMet:      {SourceEvidence, Text{"其中有数据到达的周期和服务在线的分钟", "turns in which data came, minutes in which the service was there"}},
	CountApplicationsDue:   {SourceDirectory, Text{"应答复的申请数", "applications whose answer was due"}},
	CountApplicationsMet:   {SourceDirectory, Text{"按时答复的申请数", "applications answered in time"}},
	CountDeliveriesDue:     {SourceDirectory, Text{"应供数的授权数", "consents whose delivery was due"}},
	CountDeliveriesMet:     {SourceDirectory, Text{"按时供数的授权数", "consents delivered on in time"}},
	CountDemandsClosed:     {SourceDirectory, Text{"办结的申请数（不计撤回和依法不予同意的）", "applications that ended, but for those withdrawn and lawfully refused"}},
	CountDemandsMet:        {SourceDirectory, Text{"同意并已供数的申请数", "applications approved and delivered"}},
	CountCallsCharged:      {SourceEvidence, Text{"调用数（不计策略拒绝和调用方过错）", "calls, less policy denials and callers' faults"}},
	CountCallsSucceeded:    {SourceEvidence, Text{"成功的调用数", "calls that succeeded"}},
	CountBatchesAttempted:  {SourceEvidence, Text{"发起的批次数", "batches attempted"}},
	CountBatchesReconciled: {SourceEvidence, Text{"双方对账一致的批次数", "batches that both sides agree on"}},
	CountCorrectionsDue:    {SourceDirectory, Text{"应反馈的校核数", "corrections whose feedback was due"}},
	CountCorrectionsMet:    {SourceDirectory, Text{"按时反馈的校核数", "corrections fed back in time"}},
	CountErrorsDue:         {SourceDirectory, Text{"应整改的质量问题数", "confirmed errors that were due"}},
	CountErrorsFixed:       {SourceDirectory, Text{"整改并复核通过的质量问题数", "errors fixed and retested"}},
	CountReturnsDue:        {SourceDirectory, Text{"应回流的数据数", "return flows that were due"}},
	CountReturnsMet:        {SourceDirectory, Text{"按时回流的数据数", "return flows in time"}},
	CountStopsUnreasoned:   {SourceDirectory, Text{"无正当理由停止或者变更共享", "sharing stopped or changed without reason"}},
	CountConditionsAdded:   {SourceDirectory, Text{"违规附加条件", "conditions added and found against"}},
	CountRecordsMissing:    {SourceEvidence, Text{"使用记录不足三年", "use records of three years missing"}},
	CountChainsBroken:      {SourceEvidence, Text{"存证链断裂", "broken evidence chain"}},
	CountUsesAll:           {SourceEvidence, Text{"使用数据的调用数", "calls that used data"}},
	CountUsesWithin:        {SourceEvidence, Text{"授权范围内且事项、办件、用途齐备的调用数", "calls within the grant with matter, case and purpose"}},
	CountUsesBeyond:        {SourceDirectory, Text{"超范围使用数据", "use beyond the range, upheld"}},
}

// Counts lists what can be counted, by name.
func Counts() []Count { return slices.Sorted(maps.Keys(counts)) }

// Source says where a count comes from; "" for an unknown one.
func (c Count) Source() Source { return counts[c].source }

// Text says what a count is, in words.
func (c Count) Text() Text { return counts[c].text }

// attributes are what an indicator can choose by, with the values where they are
// few.
var attributes = map[string][]string{
	"mode":     modes,
	"sharing":  {string(Unconditional), string(Conditional), string(NotShared)},
	"cycle":    cycles,
	"purpose":  {string(PurposeAdministrativeBasis), string(PurposeReference), string(PurposeVerification), string(PurposeCollaboration)},
	"resource": nil,
}

// Attributes lists what an indicator can choose by.
func Attributes() []string { return slices.Sorted(maps.Keys(attributes)) }

var schemeID = regexp.MustCompile(`^[A-Z][0-9]{1,2}$`)

// Weights that a scheme's must add up to, and how much it may hold.
const (
	FullWeight    = 100
	maxIndicators = 60
)

// Check returns every defect of s.
func (s Scheme) Check() []Defect {
	var defects []Defect
	if !filled(s.Name) {
		defects = append(defects, missing("name"))
	}
	defects = append(defects, within("cap", s.Cap, 0, FullWeight)...)
	defects = append(defects, within("ranked_from", s.RankedFrom, 0, FullWeight)...)
	defects = append(defects, within("indicators", len(s.Indicators), 1, maxIndicators)...)
	seen, sum := map[string]bool{}, 0
	for i, x := range s.Indicators {
		at := fmt.Sprintf("indicators[%d]", i)
		defects = append(append(defects, checkSchemeID(at, x.ID, seen)...), x.check(at)...)
		sum += x.Weight
	}
	if sum != FullWeight {
		defects = append(defects, Defect{"indicators.weight", Text{fmt.Sprintf("权重合计为 %d", sum), fmt.Sprintf("the weights add up to %d", sum)}, "100"})
	}
	for i, x := range s.Deductions {
		at := fmt.Sprintf("deductions[%d]", i)
		defects = append(append(defects, checkSchemeID(at, x.ID, seen)...), checkBoth(at+".name", x.Name)...)
		defects = append(defects, within(at+".points", x.Points, 1, FullWeight)...)
		defects = append(defects, oneOf(at+".count", x.Count, Counts())...)
	}
	return append(defects, s.checkBands()...)
}

func (s Scheme) checkBands() []Defect {
	defects := within("bands", len(s.Bands), 1, 10)
	for i, b := range s.Bands {
		at := fmt.Sprintf("bands[%d]", i)
		defects = append(append(defects, checkBoth(at+".name", b.Name)...), within(at+".from", b.From, 0, FullWeight)...)
		if i > 0 && b.From >= s.Bands[i-1].From {
			defects = append(defects, Defect{at + ".from", Text{"等次须由高到低", "bands go from the best down"}, fmt.Sprint("less than ", s.Bands[i-1].From)})
		}
	}
	if n := len(s.Bands); n > 0 && s.Bands[n-1].From != 0 {
		defects = append(defects, Defect{fmt.Sprintf("bands[%d].from", n-1), Text{"最低等次须从 0 分起", "the last band begins at 0"}, "0"})
	}
	return defects
}

func checkSchemeID(at, id string, seen map[string]bool) []Defect {
	defer func() { seen[id] = true }()
	switch {
	case !schemeID.MatchString(id):
		return []Defect{{at + ".id", Text{"编号格式不正确", "not an id"}, schemeID.String()}}
	case seen[id]:
		return []Defect{{at + ".id", Text{"编号重复：" + id, "this id is used twice: " + id}, "each id once"}}
	}
	return nil
}

func (x Indicator) check(at string) []Defect {
	defects := append(checkBoth(at+".name", x.Name), within(at+".weight", x.Weight, 1, FullWeight)...)
	defects = append(defects, oneOf(at+".numerator", x.Numerator, Counts())...)
	defects = append(defects, oneOf(at+".denominator", x.Denominator, Counts())...)
	if x.Numerator == x.Denominator && x.Numerator != "" {
		defects = append(defects, Defect{at + ".numerator", Text{"分子与分母相同", "the same as the denominator"}, "another count"})
	}
	for _, attribute := range slices.Sorted(maps.Keys(x.Where)) {
		field, values := at+".where."+attribute, x.Where[attribute]
		allowed, ok := attributes[attribute]
		switch {
		case !ok:
			defects = append(defects, Defect{field, Text{"不能按此筛选", "nothing can be chosen by this"}, strings.Join(Attributes(), ", ")})
			continue
		case len(values) == 0:
			defects = append(defects, missing(field))
		}
		for _, v := range values {
			if allowed != nil {
				defects = append(defects, oneOf(field, v, allowed)...)
			}
		}
	}
	return defects
}

// checkBoth wants a text in both languages.
func checkBoth(field string, w Text) []Defect {
	var defects []Defect
	if !filled(w.ZH) {
		defects = append(defects, missing(field+".zh"))
	}
	if !filled(w.EN) {
		defects = append(defects, missing(field+".en"))
	}
	return defects
}

// within returns the defect of a number out of its range.
func within(field string, n, from, to int) []Defect {
	if n >= from && n <= to {
		return nil
	}
	return []Defect{{field, Text{"数值超出范围", "out of range"}, fmt.Sprintf("%d–%d", from, to)}}
}

// Indicator returns the indicator with an id.
func (s Scheme) Indicator(id string) (Indicator, bool) {
	i := slices.IndexFunc(s.Indicators, func(x Indicator) bool { return x.ID == id })
	if i < 0 {
		return Indicator{}, false
	}
	return s.Indicators[i], true
}
