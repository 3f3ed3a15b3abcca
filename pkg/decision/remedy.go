package decision

import (
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// remedies say what can be done about what a policy misses, by its code. They are
// advice: what the condition is, the policy alone says.
var remedies = map[string]bus.Text{
	"grant-missing":         {ZH: "向提供部门提出共享申请，取得授权后再用", EN: "apply to the provider for a grant"},
	"grant-mismatch":        {ZH: "使用本部门对该资源的授权，没有则提出共享申请", EN: "use your department's own grant of this resource, or apply for one"},
	"grant-revoked":         {ZH: "查看撤销原因；仍需使用的，重新提出共享申请", EN: "read why it was revoked, and apply again if you still need the data"},
	"grant-expired":         {ZH: "申请延期，或重新提出共享申请", EN: "apply for an extension or a new grant"},
	"purpose-missing":       {ZH: "说明使用用途", EN: "state a purpose"},
	"purpose-outside-grant": {ZH: "按授权所列用途使用，或为此用途提出共享申请", EN: "use it for a purpose that the grant lists, or apply for this one"},
	"matter-missing":        {ZH: "说明办理事项的编码（matter）", EN: "state the code of the matter (matter)"},
	"case-missing":          {ZH: "说明办件号（case）", EN: "state the number of the case (case)"},
	"matter-outside-grant":  {ZH: "填写授权所列的事项编码（matter），或为此事项提出共享申请", EN: "name a matter that the grant lists (matter), or apply for this one"},
	"mode-outside-grant":    {ZH: "按授权的共享方式使用，或就此方式提出共享申请", EN: "use it in the way that the grant names, or apply for this one"},
	"items-outside-grant":   {ZH: "只请求已授权的信息项，或申请增加", EN: "ask for granted items only, or apply for the others"},
	"range-unenforceable":   {ZH: "请提供部门为资源标明含义为区划的信息项，或按提供部门所在区划重新申请", EN: "ask the provider to mark an item that means the division, or apply for the range of the provider's division"},
	"no-items-left":         {ZH: "为所需信息项提出共享申请", EN: "apply for a grant of the items that you need"},
	"not-shared":            {ZH: "与提供部门协商，或请数据主管部门协调", EN: "talk to the provider, or ask the data authority to mediate"},
	"directory-stale":       {ZH: "等待本节点与目录主节点恢复联系后再试", EN: "wait until this node's replica is in touch with the leader again"},
}

// unready are the codes of layers that could not answer; they are package policy's.
var unready = []string{"policy-timeout", "layer-unavailable", "policy-error", "policy-undefined", "policy-result-invalid"}

// About is what a remedy needs to know of the call.
type About struct {
	Action   string
	Purposes []bus.Purpose // that the resource lists
	From     time.Time     // when the grant begins; zero where there is none
}

// Remedy says what to do about a reason.
func Remedy(r bus.Reason, about About) bus.Text {
	if r.Layer == bus.BaseLayer {
		switch {
		case r.Code == "purpose-outside-resource":
			purposes := make([]string, len(about.Purposes))
			for i, p := range about.Purposes {
				purposes[i] = string(p)
			}
			list := strings.Join(purposes, ", ")
			return bus.Text{ZH: "改用资源公布的用途：" + list, EN: "ask with a purpose that the resource lists: " + list}
		case r.Code == "grant-not-yet-valid" && !about.From.IsZero():
			from := about.From.Format(time.RFC3339)
			return bus.Text{ZH: "等到授权生效：" + from, EN: "wait until the grant begins: " + from}
		case r.Code == "input-unsupported":
			return bus.Text{ZH: "本版本尚不支持此方式（" + about.Action + "）", EN: "this release has no " + about.Action + " yet"}
		}
		if text, ok := remedies[r.Code]; ok {
			return text
		}
	}
	if slices.Contains(unready, r.Code) {
		return bus.Text{
			ZH: "稍后再试；持续如此的，联系策略层 " + string(r.Layer) + " 的安全管理员",
			EN: "try again later; if it stays so, ask the security administrator of layer " + string(r.Layer),
		}
	}
	return bus.Text{
		ZH: "联系制定策略层 " + string(r.Layer) + " 的部门或其安全管理员",
		EN: "ask whoever wrote layer " + string(r.Layer) + ", or its security administrator",
	}
}
