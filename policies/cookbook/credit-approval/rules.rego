# Credit data (基础信息资源, 社会信用, catalogue codes 104…) needs two consents: the
# provider's, which is the grant, and the province's, which is the grant's id in
# this layer. Putting it there takes two security administrators of the province.
package gxbus.division.d440000

consented := {"credit-1"}

deny contains {
	"code": "second-consent-missing",
	"zh": "社会信用数据须经省级主管部门二次审批；请凭授权编号向省级主管部门申请。",
	"en": "Credit data needs the province's consent beside the provider's; apply to the province with the grant's number.",
} if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	some code in input.resource.codes
	startswith(code, "104")
	input.consumer.department != input.provider.department
	not twice
}

twice if input.grant.id in consented
