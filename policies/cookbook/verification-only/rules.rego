# 核验: of the marriage register others learn whether there is a value, not which.
package gxbus.department.d11440000999900062B

deny contains {
	"code": "verification-only",
	"zh": "该资源仅提供核验；请以数据校核为用途申请和使用。",
	"en": "This resource only verifies; apply for and use it for verification.",
} if {
	verifying
	not for_verification
}

for_verification if input.purpose == "verification"

verifying if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.resource.id == "marriage-register"
	input.provider.department == "11440000999900062B"
	input.consumer.department != input.provider.department
}

masks[item.id] := {"method": "verify"} if {
	verifying
	some item in input.resource.items
	item.personal
}
