# The base layer: who may publish and who may receive.
# Nothing is allowed that is not allowed here; other layers only deny or narrow.
# A denial is the absence of something stated positively, so that what is missing
# from the input denies.
package gxbus.base

default allow := false

# A department publishes to its own resource, and to no other.
allow if {
	input.action == "publish"
	understood
	owned
}

# Within one department data moves without a grant.
allow if {
	exchange
	same_department
	count(deny) == 0
}

# Across departments the sharing attribute decides; deny lists what is missing.
allow if {
	exchange
	across_departments
	count(deny) == 0
}

exchange_actions := {"subscribe", "forward", "deliver", "query"}

exchange if input.action in exchange_actions

understood if {
	input.version == 1
	input.action == "publish"
	input.stage == "provider"
	party_known(input.provider)
}

understood if {
	input.version == 1
	exchange
	input.stage in {"provider", "consumer"}
	party_known(input.provider)
	party_known(input.consumer)
}

# A party without its chain of divisions would escape the layers on that chain.
party_known(party) if {
	party.department != ""
	party.divisions[0] == party.division
}

shared if input.resource.sharing.type in {"unconditional", "conditional"}

owned if input.provider.department == input.resource.provider

# Nameless parties are not understood, so two of them are no department.
same_department if input.consumer.department == input.provider.department

across_departments if {
	exchange
	not same_department
}

deny contains {
	"code": "input-unsupported",
	"zh": "请求的操作、环节、版本或当事方信息不受本策略支持；请检查节点版本并补全部门及其行政区划。",
	"en": "This action, stage, version or party is not one the policy knows; check the node's version and give each department with its divisions.",
} if {
	not understood
}

deny contains {
	"code": "publisher-not-owner",
	"zh": "只有资源的提供部门可以向该资源发布数据；请使用提供部门的系统发布。",
	"en": "Only the department that provides a resource publishes to it; publish from one of its systems.",
} if {
	input.action == "publish"
	not owned
}

deny contains {
	"code": "provider-mismatch",
	"zh": "资源不属于所述提供部门；请重新读取目录后再试。",
	"en": "The resource does not belong to the stated provider; read the directory again and retry.",
} if {
	exchange
	not owned
}

deny contains {
	"code": "not-shared",
	"zh": "该资源不予共享；如确有需要，请与提供部门协商或申请争议协调。",
	"en": "This resource is not shared; if you need it, talk to its provider or ask the data authority to mediate.",
} if {
	across_departments
	not shared
}
