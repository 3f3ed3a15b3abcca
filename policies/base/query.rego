# A query says for which piece of business it is: what is asked, and how often, is
# judged by that.
package gxbus.base

query_across if {
	input.action == "query"
	across_departments
}

matter_stated if input.matter != ""

case_stated if input.case != ""

deny contains {
	"code": "matter-missing",
	"zh": "查询未说明办理事项；请填写事项的实施清单编码。",
	"en": "The query states no matter; state the code of the matter that is being handled.",
} if {
	query_across
	not matter_stated
}

deny contains {
	"code": "case-missing",
	"zh": "查询未说明办件号；请填写正在办理的办件编号。",
	"en": "The query states no case; state the number of the case that is being handled.",
} if {
	query_across
	not case_stated
}
