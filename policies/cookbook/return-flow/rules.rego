# 回流: what the province's departments collected about a lower division goes back
# to it, all its rows and without further conditions. Others get what the
# province's conditions leave them.
package gxbus.division.d440000

returned := {"provincial-permits"}

rows contains {"item": "division", "within": [input.consumer.division]} if flows_back

# The province's own condition on these resources, which a return flow is free of.
deny contains {
	"code": "matter-missing",
	"zh": "请填写所办事项的实施清单编码。",
	"en": "State the matter at hand by its code.",
} if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.resource.id in returned
	not flows_back
	not input.matter
}

flows_back if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.resource.id in returned
	input.provider.division == "440000"
	input.provider.division in input.consumer.divisions
	input.consumer.division != input.provider.division
}
