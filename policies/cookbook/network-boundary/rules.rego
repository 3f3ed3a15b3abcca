# What is kept on a department's own network (部门专网) stays with the departments
# that are connected to it.
package gxbus.division.d440000

connected := {"11440000999900062B", "11440000999900054G"}

deny contains {
	"code": "network-boundary",
	"zh": "该资源位于部门专网，仅向接入该专网的部门提供；请申请接入，或使用政务外网上的资源。",
	"en": "This resource is kept on a departmental network and goes to those on it; get connected, or use one on the government network.",
} if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.resource.network == "departmental"
	input.consumer.department != input.provider.department
	not on_it
}

on_it if input.consumer.department in connected
