# A register that only some may know of: others find it in no list and no search.
package gxbus.division.d440000

deny contains {
	"code": "hidden-register",
	"zh": "该资源仅卫生健康部门可见。",
	"en": "Health departments alone see this resource.",
} if {
	input.action == "discover"
	input.resource.id == "infectious-diseases"
	not seeing
}

seeing if input.consumer.department in {"11440100999900046T"}

# An administrator is of no department.
seeing if input.consumer.role in {"security-administrator", "auditor"}
